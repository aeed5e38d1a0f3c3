"""CIDEr-D of many captions of the same photos, fast enough to be a reward during training.

Vedantam et al. 2015, https://arxiv.org/abs/1411.5726. The same numbers as pycocoevalcap's, which
would prepare the references again at each call and only takes captions as text.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

LONGEST = 4
"""N-grams of one to four words count."""


SIGMA = 6.0
"""The penalty for a difference in length is a factor exp(-difference**2 / (2 * SIGMA**2))."""


class WeighedCaption(NamedTuple):
    """A caption as CIDEr compares it.

    weights: TF-IDF of each n-gram; norms: of the weights, for each n; length: as in pycocoevalcap
    the number of word pairs: a caption of one word has length 0.
    """

    weights: dict[tuple, float]
    norms: list[float]
    length: int


class NgramWeights:
    """How much each n-gram counts: the fewer photos' captions have it, the more.

    photos: for each photo its captions' n-grams, as `count_ngrams` counts them; a photo is a
    document, whatever number of its captions has an n-gram.
    """

    def __init__(self, photos: Sequence[Sequence[Counter]]) -> None:
        frequencies = Counter(
            ngram for captions in photos for ngram in {n for c in captions for n in c}
        )
        log_photos = math.log(len(photos))
        self._max_idf = log_photos  # of an n-gram in no caption: its frequency counts as one
        self._idf = {ngram: log_photos - math.log(count) for ngram, count in frequencies.items()}

    def weigh(self, counts: Counter) -> WeighedCaption:
        """A caption's n-grams with their weights."""
        weights: dict[tuple, float] = {}
        squares, pairs = [0.0] * LONGEST, 0
        for ngram, count in counts.items():
            n = len(ngram)
            weights[ngram] = weight = count * self._idf.get(ngram, self._max_idf)
            squares[n - 1] += weight * weight
            pairs += count * (n == 2)
        return WeighedCaption(weights, [square**0.5 for square in squares], pairs)


class CiderD:
    """The references of photos, prepared to score captions of them.

    references: for each photo its captions, each a sequence of words (or their numbers). The
    document frequencies of n-grams are counted over these references.
    """

    def __init__(self, references: Sequence[Sequence[Sequence]]) -> None:
        counted = [[count_ngrams(caption) for caption in captions] for captions in references]
        self._ngrams = NgramWeights(counted)
        self._references = [[self._ngrams.weigh(caption) for caption in own] for own in counted]

    def score(self, photo: int, caption: Sequence) -> float:
        """The CIDEr-D, 0 to 10, of a caption of the photo at that position of the references."""
        weighed = self._ngrams.weigh(count_ngrams(caption))
        return 10.0 * float(similarities([weighed], self._references[photo]).mean())


def similarities(
    captions: Sequence[WeighedCaption], references: Sequence[WeighedCaption]
) -> np.ndarray:
    """How much captions say of what references say, 0 to 1: (captions, references).

    CIDEr-D of two is ten times it: the mean over n of the cosines of their n-grams' weights, times
    the penalty for another length.
    """
    wanted = {ngram for caption in captions for ngram in caption.weights}
    found: dict[tuple, list[tuple[int, float]]] = {}  # of each n-gram, references with weights
    for place, reference in enumerate(references):
        for ngram in wanted & reference.weights.keys():
            found.setdefault(ngram, []).append((place, reference.weights[ngram]))
    products = np.zeros((len(captions), len(references), LONGEST))
    for caption, own in zip(captions, products, strict=True):
        rows = own.tolist()  # numbers of Python: many single additions
        for ngram, weight in caption.weights.items():
            n = len(ngram) - 1
            for place, other in found.get(ngram, ()):
                # Clipped to the reference's weight (the D of CIDEr-D): to repeat a rare word gains
                # nothing.
                rows[place][n] += min(weight, other) * other
        own[:] = rows
    norms = _norms(captions)[:, None] * _norms(references)[None]  # (captions, references, LONGEST)
    cosines = (products / np.where(norms > 0, norms, 1)).mean(axis=-1)  # (captions, references)
    differences = _lengths(captions)[:, None] - _lengths(references)[None]
    return cosines * np.exp(-(differences**2) / (2 * SIGMA**2))


def _norms(captions: Sequence[WeighedCaption]) -> np.ndarray:
    return np.array([caption.norms for caption in captions]).reshape(-1, LONGEST)


def _lengths(captions: Sequence[WeighedCaption]) -> np.ndarray:
    return np.array([caption.length for caption in captions])


def count_ngrams(caption: Iterable) -> Counter:
    """How often a caption, a sequence of words or their numbers, has each n-gram."""
    words = tuple(caption)
    counts: Counter = Counter()
    for n in range(1, LONGEST + 1):
        counts.update(zip(*(words[start:] for start in range(n)), strict=False))
    return counts
