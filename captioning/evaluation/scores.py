"""BLEU, METEOR, ROUGE-L and CIDEr of captions against references, on words only.

The scorers are pycocoevalcap's, the field's own; captions and references are cleaned alike
(lower case, no punctuation), and a marker among the words is an error, never a match.
"""

import re
import subprocess
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from captioning.data.text import clean_caption
from captioning.errors import CaptioningError

TOKENISATION = "lower-case words without punctuation, no markers"


RESAMPLES = 1000


_MARKER = re.compile(r"</?\w+/?>|\[(?:cls|sep|pad|unk)\]|\b(?:start|end)seq\b", re.IGNORECASE)
"""Our markers and those of others: cleaning would make words of them, which could match."""


ORDERS = 4
"""BLEU and CIDEr count n-grams of one to four words."""


@dataclass(frozen=True)
class Scores:
    """Scores of a set of photos' captions, all times 100.

    corpus: the scores of the whole set; own: each photo's own, (photos,), in the order of
    `names`, of the scores that are means over photos; counts: what BLEU is made of, int
    (photos, 10): n-grams said and matched for n of 1 to 4, length, closest reference's length.
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

        Efron 1979; as Koehn 2004 does for BLEU, https://aclanthology.org/W04-3250. Photos are
        drawn again; how rare words are for CIDEr stays as counted once.
        """
        drawn = self._resampled(_draws(len(self.names), resamples, seed))
        return {name: _middle(values) for name, values in drawn.items()}

    def minus(
        self, other: "Scores", resamples: int = RESAMPLES, seed: int = 0
    ) -> dict[str, list[float]]:
        """[difference, low, high] of each score against another model's on the same photos.

        The same photos are drawn for both, so the interval is of the paired difference. Raises
        `CaptioningError` when the photos are others.
        """
        if self.names != other.names:
            raise CaptioningError("only scores of the same photos can be compared")
        draws = _draws(len(self.names), resamples, seed)
        ours, theirs = self._resampled(draws), other._resampled(draws)
        return {
            name: [self.corpus[name] - other.corpus[name], *_middle(ours[name] - theirs[name])]
            for name in self.corpus
            if name in other.corpus
        }

    def _resampled(self, draws: np.ndarray) -> dict[str, np.ndarray]:
        """The scores of sets of photos; draws: how often each is in, (resamples, photos)."""
        bleu = 100 * _bleu(draws @ self.counts)  # (resamples, 4)
        drawn = {f"BLEU-{n + 1}": bleu[:, n] for n in range(ORDERS)}
        for name, own in self.own.items():
            # METEOR of a set is no mean: its own value moves as the mean of the photos' does.
            drawn[name] = self.corpus[name] + draws @ own / len(own) - own.mean()
        return drawn


def score_captions(
    captions: dict[str, str], references: dict[str, list[str]], meteor: bool = False
) -> Scores:
    """Score one caption a photo against its references (all photos of `captions`).

    BLEU (Papineni et al. 2002) takes the closest reference length; METEOR 1.5: Denkowski & Lavie
    2014; ROUGE-L: Lin 2004; CIDEr-D: Vedantam et al. 2015, document frequencies from these
    references. Raises `CaptioningError` for a photo without reference, an empty caption, a
    marker among the words, or METEOR without Java.
    """
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    hypotheses, cleaned = _cleaned(captions, references)
    counts = _count_bleu(cleaned, hypotheses)
    bleu = _bleu(counts.sum(axis=0)[None])[0]
    rouge, own_rouge = Rouge().compute_score(cleaned, hypotheses)
    cider, own_cider = Cider().compute_score(cleaned, hypotheses)
    corpus = {f"BLEU-{n + 1}": float(bleu[n]) for n in range(ORDERS)}
    own = {}
    if meteor:
        corpus["METEOR"], own["METEOR"] = _meteor(cleaned, hypotheses)
    corpus |= {"ROUGE-L": float(rouge), "CIDEr": float(cider)}
    own |= {"ROUGE-L": own_rouge, "CIDEr": own_cider}
    return Scores(
        list(hypotheses),
        {name: 100 * value for name, value in corpus.items()},
        {name: 100 * np.asarray(values, np.float64) for name, values in own.items()},
        counts,
    )


def has_java() -> bool:
    """Whether METEOR can be had here: its scorer is a Java program.

    Java is started to see: some systems have a `java` that only says where to get one.
    """
    try:
        return not subprocess.run(["java", "-version"], capture_output=True, check=False).returncode
    except OSError:
        return False


def _cleaned(captions: dict[str, str], references: dict[str, list[str]]) -> tuple[dict, dict]:
    if not captions:
        raise CaptioningError("there are no captions to score")
    hypotheses, cleaned = {}, {}
    for name, caption in captions.items():
        _refuse_markers(name, caption)
        hypotheses[name] = [clean_caption(caption)]
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


def _count_bleu(references: dict, hypotheses: dict) -> np.ndarray:
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    scorer = BleuScorer(n=ORDERS)
    for name, hypothesis in hypotheses.items():
        scorer += (hypothesis[0], references[name])
    rows = []
    for part in scorer.ctest:
        length = part["testlen"]
        closest = min(part["reflen"], key=lambda other: (abs(other - length), other))
        rows.append([*part["guess"], *part["correct"], length, closest])
    return np.array(rows)  # (photos, 10)


def _bleu(counts: np.ndarray) -> np.ndarray:
    """BLEU-1 to BLEU-4 of summed counts: (sets, 10) -> (sets, 4)."""
    said, matched = counts[:, :ORDERS], counts[:, ORDERS : 2 * ORDERS]
    precision = (matched + 1e-15) / (said + 1e-9)  # pycocoevalcap's own guards against 0 / 0
    mean = np.cumprod(precision, axis=1) ** (1 / np.arange(1, ORDERS + 1))
    ratio = (counts[:, 8:9] + 1e-15) / (counts[:, 9:10] + 1e-9)
    return mean * np.exp(np.minimum(0, 1 - 1 / ratio))


def _meteor(references: dict, hypotheses: dict) -> tuple[float, list[float]]:
    if not has_java():
        raise CaptioningError("METEOR wants Java (version 8 or later) on the path")
    from pycocoevalcap.meteor.meteor import Meteor

    scorer = Meteor()
    try:
        return scorer.compute_score(references, hypotheses)
    except (OSError, ValueError) as error:  # the program ended, or answered with no number
        raise CaptioningError(
            f"METEOR's Java program failed ({error}); --no-meteor leaves METEOR out"
        ) from None
    finally:
        if scorer.lock.locked():  # interrupted: its end would wait for the lock for ever
            scorer.lock.release()
        scorer.meteor_p.kill()
        scorer.meteor_p.wait()
        for pipe in (scorer.meteor_p.stdin, scorer.meteor_p.stdout, scorer.meteor_p.stderr):
            with suppress(OSError):
                pipe.close()


def _draws(photos: int, resamples: int, seed: int) -> np.ndarray:
    """How often each photo is drawn, `photos` times with replacement: (resamples, photos)."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(photos, np.full(photos, 1 / photos), size=resamples)


def _middle(values: np.ndarray) -> list[float]:
    return np.quantile(values, [0.025, 0.975]).tolist()
