"""BLEU, METEOR, ROUGE-L and CIDEr of captions against references, computed on words only.

The scorers are pycocoevalcap's, which the papers of the field use. Captions and references are
cleaned alike (lower case, no punctuation), and a marker such as `<end>` among the words is an
error: left in, it would match the references' markers and raise every score.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

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
    `names`, of the scores that are means over photos; counts: as `count_ngrams`, None without
    BLEU; left_out: {score: why it isn't in `corpus`}.
    """

    names: list[str]
    corpus: dict[str, float]
    own: dict[str, np.ndarray]
    counts: np.ndarray | None
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def cider(self) -> dict[str, float]:
        """Each photo's own CIDEr; nothing where CIDEr was left out."""
        if "CIDEr" not in self.own:
            return {}
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
        resampled = {}
        if self.counts is not None:
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
    https://arxiv.org/abs/1411.5726, with document frequencies from these references. A scorer that
    fails leaves its own score out. Raises `CaptioningError` for a photo without a reference, an
    empty caption, a marker among the words, and when no score could be computed.
    """
    hypotheses, cleaned = _clean(captions, references)
    corpus: dict[str, float] = {}
    own: dict[str, np.ndarray] = {}
    left_out: dict[str, str] = {}
    counts = _attempt("BLEU", lambda: count_ngrams(cleaned, hypotheses), left_out)
    if counts is not None:
        bleu = bleu_of_counts(counts.sum(axis=0)[None])[0]  # (4,)
        corpus = {f"BLEU-{n + 1}": 100 * float(bleu[n]) for n in range(ORDERS)}
    # Tables list the scores in this order.
    scorers = {"METEOR": compute_meteor, "ROUGE-L": compute_rouge, "CIDEr": compute_cider}
    for name, compute in scorers.items():
        if name == "METEOR" and not meteor:
            continue
        found = _attempt(name, lambda: _checked(compute(cleaned, hypotheses)), left_out)  # noqa: B023
        if found is not None:
            corpus[name], own[name] = 100 * found[0], 100 * found[1]
    if not corpus:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise CaptioningError(f"no score could be computed ({reasons})")
    return Scores(list(hypotheses), corpus, own, counts, left_out)


def compute_rouge(
    references: dict[str, list[str]], hypotheses: dict[str, list[str]]
) -> tuple[float, np.ndarray]:
    """ROUGE-L, 0 to 1, of all captions together and of each."""
    from pycocoevalcap.rouge.rouge import Rouge

    return Rouge().compute_score(references, hypotheses)


def compute_cider(
    references: dict[str, list[str]], hypotheses: dict[str, list[str]]
) -> tuple[float, np.ndarray]:
    """CIDEr-D, 0 to 10, of all captions together and of each.

    Raises `CaptioningError` where it is not defined: it weighs n-grams by how few of the photos
    have them, and where all photos have the same ones, as a single photo has, all weights are 0.
    """
    from pycocoevalcap.cider.cider import Cider

    sets = map(_ngrams, references.values())
    first = next(sets)
    if all(other == first for other in sets):
        raise CaptioningError(
            "not defined for one photo, or for photos with the same references: it weighs words by "
            "how few photos have them"
        )
    return Cider().compute_score(references, hypotheses)


def _ngrams(rows: list[str]) -> set[tuple[str, ...]]:
    """The n-grams, of up to `ORDERS` words, of a photo's references."""
    return {
        tuple(words[start : start + n])
        for words in map(str.split, rows)
        for n in range(1, ORDERS + 1)
        for start in range(len(words) - n + 1)
    }


_T = TypeVar("_T")


def _attempt(name: str, compute: Callable[[], _T], left_out: dict[str, str]) -> _T | None:
    """What `compute` gives; where it fails None, and why in `left_out`."""
    try:
        return compute()
    except ModuleNotFoundError:
        raise  # the commands say how to install what is missing
    except CaptioningError as error:
        left_out[name] = str(error)
    except Exception as error:  # others' code: whatever it raises, the other scores don't depend on
        left_out[name] = f"its scorer failed ({type(error).__name__}: {error})"
    return None


def _checked(found: tuple[float, Any]) -> tuple[float, np.ndarray]:
    """A scorer's result as numbers; raises `ValueError` for one that isn't finite."""
    corpus, own = found
    values = np.asarray(own, np.float64)  # (photos,)
    if not (np.isfinite(corpus) and np.isfinite(values).all()):
        raise ValueError("its score is not a number")
    return float(corpus), values


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
