"""BLEU from counts of n-grams, so that the bootstrap only adds up counts.

Papineni et al. 2002, https://aclanthology.org/P02-1040, with the length of the closest reference.
"""

import numpy as np

ORDERS = 4
"""N-grams of one to four words count."""


def count_ngrams(references: dict[str, list[str]], hypotheses: dict[str, list[str]]) -> np.ndarray:
    """What BLEU is computed from, int (photos, 10).

    The columns: hypothesis n-grams for n of 1 to 4, those of them that match a reference, the
    length, and the closest reference's length.
    """
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    scorer = BleuScorer(n=ORDERS)
    for name, hypothesis in hypotheses.items():
        scorer += (hypothesis[0], references[name])
    rows = []
    for counted in scorer.ctest:
        length = counted["testlen"]
        # Of two that are equally close the shorter one, as in pycocoevalcap.
        closest = min(counted["reflen"], key=lambda other: (abs(other - length), other))
        rows.append([*counted["guess"], *counted["correct"], length, closest])
    return np.array(rows)  # (photos, 10)


def bleu_of_counts(counts: np.ndarray) -> np.ndarray:
    """BLEU-1 to BLEU-4, 0 to 1, of sets of photos' summed counts: (sets, 10) -> (sets, 4)."""
    generated, matched = counts[:, :ORDERS], counts[:, ORDERS : 2 * ORDERS]  # (sets, 4)
    # The small numbers are pycocoevalcap's own guards against 0 / 0: the scores stay the same.
    precision = (matched + 1e-15) / (generated + 1e-9)
    # BLEU-n is the geometric mean of the first n precisions, times the brevity penalty.
    mean = np.cumprod(precision, axis=1) ** (1 / np.arange(1, ORDERS + 1))
    ratio = (counts[:, 8:9] + 1e-15) / (counts[:, 9:10] + 1e-9)  # (sets, 1)
    return mean * np.exp(np.minimum(0, 1 - 1 / ratio))
