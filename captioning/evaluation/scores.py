"""BLEU, METEOR, ROUGE-L and CIDEr of captions against references, computed on words only.

The scorers are pycocoevalcap's, which the papers of the field use. Captions and references are
cleaned alike (lower case, no punctuation), and a marker such as `<end>` among the words is an
error: left in, it would match the references' markers and raise every score.
"""

import re
from dataclasses import dataclass

import numpy as np

from captioning.data.text import clean_caption
from captioning.errors import CaptioningError
from captioning.evaluation.bleu import ORDERS, bleu_of_counts, count_ngrams
from captioning.evaluation.bootstrap import RESAMPLES, draw_counts, interval_95
from captioning.evaluation.meteor import compute_meteor

TOKENISATION = "lower-case words without punctuation, no markers"


_MARKER = re.compile(r"</?\w+/?>|\[(?:cls|sep|pad|unk)\]|\b(?:start|end)seq\b", re.IGNORECASE)
"""Markers, ours and other projects': cleaning would turn them into words, which could match."""


@dataclass(frozen=True)
class Scores:
    """Scores of the captions of a set of photos, all times 100.

    corpus: the scores of the whole set; own: each photo's own, float64 (photos,), in the order of
    `names`, of the scores that are means over photos; counts: as `count_ngrams`.
    """

    names: list[str]
    corpus: dict[str, float]
    own: dict[str, np.ndarray]
    counts: np.ndarray

    @property
    def cider(self) -> dict[str, float]:
        """Each photo's own CIDEr."""
        return dict(zip(self.names, self.own["CIDEr"].tolist(), strict=True))

    def line(self) -> str:
        """The scores in one line, for people."""
        return "  ".join(f"{name} {value:.1f}" for name, value in self.corpus.items())

    def intervals(self, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, list[float]]:
        """95% intervals by the bootstrap over photos, [low, high] for each score.

        CIDEr's document frequencies are counted once, over all photos, not in each resample.
        """
        resampled = self._resampled(draw_counts(len(self.names), resamples, seed))
        return {name: interval_95(values) for name, values in resampled.items()}

    def minus(
        self, other: "Scores", resamples: int = RESAMPLES, seed: int = 0
    ) -> dict[str, list[float]]:
        """[difference, low, high] of each score against another model's on the same photos.

        Both models are scored on the same resamples, so the interval is that of the paired
        difference: photos that are hard for both cancel out. Raises `CaptioningError` when the
        photos differ.
        """
        if self.names != other.names:
            raise CaptioningError("only scores of the same photos can be compared")
        counts = draw_counts(len(self.names), resamples, seed)
        ours, theirs = self._resampled(counts), other._resampled(counts)
        return {
            name: [self.corpus[name] - other.corpus[name], *interval_95(ours[name] - theirs[name])]
            for name in self.corpus
            if name in other.corpus
        }

    def _resampled(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """The scores of each resample, (resamples,). counts: as `draw_counts`."""
        bleu = 100 * bleu_of_counts(counts @ self.counts)  # (resamples, 4)
        resampled = {f"BLEU-{n + 1}": bleu[:, n] for n in range(ORDERS)}
        for name, own in self.own.items():
            # ROUGE-L and CIDEr are means over photos, so this is their mean in the resample.
            # METEOR is not quite: its value is moved by as much as the photos' mean is.
            resampled[name] = self.corpus[name] + counts @ own / len(own) - own.mean()
        return resampled


def score_captions(
    captions: dict[str, str], references: dict[str, list[str]], meteor: bool = False
) -> Scores:
    """Score one caption for each photo against the photo's references.

    BLEU: Papineni et al. 2002; METEOR: Denkowski & Lavie 2014; ROUGE-L: Lin 2004,
    https://aclanthology.org/W04-1013; CIDEr-D: Vedantam et al. 2015,
    https://arxiv.org/abs/1411.5726, with document frequencies from these references. Raises
    `CaptioningError` for a photo without a reference, an empty caption, a marker among the words,
    and METEOR without Java.
    """
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    hypotheses, cleaned = _clean(captions, references)
    counts = count_ngrams(cleaned, hypotheses)
    bleu = bleu_of_counts(counts.sum(axis=0)[None])[0]
    rouge, own_rouge = Rouge().compute_score(cleaned, hypotheses)
    cider, own_cider = Cider().compute_score(cleaned, hypotheses)
    corpus = {f"BLEU-{n + 1}": float(bleu[n]) for n in range(ORDERS)}
    own = {}
    if meteor:  # inserted here: tables list the scores in this order
        corpus["METEOR"], own["METEOR"] = compute_meteor(cleaned, hypotheses)
    corpus |= {"ROUGE-L": float(rouge), "CIDEr": float(cider)}
    own |= {"ROUGE-L": own_rouge, "CIDEr": own_cider}
    return Scores(
        list(hypotheses),
        {name: 100 * value for name, value in corpus.items()},
        {name: 100 * np.asarray(values, np.float64) for name, values in own.items()},
        counts,
    )


def _clean(
    captions: dict[str, str], references: dict[str, list[str]]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Hypotheses, one in a list for each photo, and references, as pycocoevalcap wants them."""
    if not captions:
        raise CaptioningError("there are no captions to score")
    hypotheses, cleaned = {}, {}
    for name, caption in captions.items():
        _refuse_markers(name, caption)
        hypotheses[name] = [clean_caption(caption)]
        # A reference without a word would only distort the lengths that BLEU compares.
        cleaned[name] = [row for row in map(clean_caption, references.get(name, [])) if row]
        if not cleaned[name]:
            raise CaptioningError(f"{name} has no reference caption to be scored against")
        if not hypotheses[name][0]:
            raise CaptioningError(f"the caption of {name} is empty")
    return hypotheses, cleaned


def _refuse_markers(name: str, caption: str) -> None:
    found = _MARKER.search(caption)
    if found:
        raise CaptioningError(f"the caption of {name} has the marker {found[0]!r} among its words")
