"""BLEU, ROUGE-L and CIDEr of captions against references, on words only.

The scorers are pycocoevalcap's, the field's own; captions and references are cleaned alike
(lower case, no punctuation), and a marker among the words is an error, never a match.
"""

from dataclasses import dataclass

from captioning.errors import CaptioningError
from captioning.text import MARKERS, clean_caption

NAMES = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr")
TOKENISATION = "lower-case words without punctuation, no markers"


@dataclass(frozen=True)
class Scores:
    """Corpus scores times 100, and each photo's own CIDEr times 100."""

    corpus: dict[str, float]
    cider: dict[str, float]

    def line(self) -> str:
        """The scores in one line, for people."""
        return "  ".join(f"{name} {value:.1f}" for name, value in self.corpus.items())


def score_captions(captions: dict[str, str], references: dict[str, list[str]]) -> Scores:
    """Score one caption a photo against its references (all photos of `captions`).

    BLEU (Papineni et al. 2002) takes the closest reference length; ROUGE-L: Lin 2004; CIDEr-D:
    Vedantam et al. 2015, document frequencies from these references. Raises `CaptioningError`
    for a photo without reference, an empty caption, or a marker among the words.
    """
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    if not captions:
        raise CaptioningError("there are no captions to score")
    hypotheses, cleaned = {}, {}
    for name, caption in captions.items():
        _refuse_markers(name, caption)
        hypotheses[name] = [clean_caption(caption)]
        cleaned[name] = [clean_caption(row) for row in references.get(name, [])]
        if not cleaned[name]:
            raise CaptioningError(f"{name} has no reference caption to be scored against")
        if not hypotheses[name][0]:
            raise CaptioningError(f"the caption of {name} is empty")
    bleu, _ = Bleu(4).compute_score(cleaned, hypotheses, verbose=0)
    rouge, _ = Rouge().compute_score(cleaned, hypotheses)
    cider, by_photo = Cider().compute_score(cleaned, hypotheses)
    values = [100 * float(value) for value in (*bleu, rouge, cider)]
    own = {name: 100 * float(v) for name, v in zip(cleaned, by_photo, strict=True)}
    return Scores(dict(zip(NAMES, values, strict=True)), own)


def _refuse_markers(name: str, caption: str) -> None:
    for word in caption.split():
        if word in MARKERS or word in ("startseq", "endseq", "<eos>", "<bos>", "<pad>"):
            raise CaptioningError(f"the caption of {name} has the marker {word!r} among its words")
