"""A model's captions of a split, their scores, and what else a reader of scores should know."""

from dataclasses import dataclass
from typing import Any

from captioning.data.neutral import without_gender
from captioning.data.prepared import Prepared
from captioning.evaluation.bias import count_bias
from captioning.evaluation.language import describe_language, recall_of_rare_words
from captioning.evaluation.objects import object_words
from captioning.evaluation.overlap import training_captions
from captioning.evaluation.photos import split_photos
from captioning.evaluation.predictions import caption_photos
from captioning.evaluation.scores import TOKENISATION, Scores, score_captions
from captioning.evaluation.signature import make_signature
from captioning.evaluation.truth import Truth, find_truth
from captioning.inference.captioner import Captioner


@dataclass
class Evaluation:
    """A model's captions of a split with their scores.

    captions: {file name: (caption, confidence)}, confidence as the mean log-probability a word;
    references: {file name: captions}; truth: {kind: what captions say of it against their
    references}; objects: the words that the data's captions use as objects; summary: the contents
    of `scores.json`; against: the other model's, once they were compared.
    """

    captions: dict[str, tuple[str, float]]
    references: dict[str, list[str]]
    scores: Scores
    truth: dict[str, Truth]
    objects: set[str]
    summary: dict[str, Any]
    against: "Evaluation | None" = None

    @property
    def texts(self) -> dict[str, str]:
        """The captions alone, by file name."""
        return {name: caption for name, (caption, _) in self.captions.items()}

    def compare(self, name: str, other: "Evaluation") -> None:
        """Add to the summary the paired differences to another model's scores.

        Raises `CaptioningError` when that one captioned other photos.
        """
        self.against = other
        # The other model's own scores come along: without them a difference can't be judged.
        self.summary["against"] = {
            "model": name,
            "decoder": other.summary["decoder"],
            "scores": other.summary["scores"],
            "difference": {
                score: {"value": round(value, 2), "interval": [round(low, 2), round(high, 2)]}
                for score, (value, low, high) in self.scores.minus(other.scores).items()
            },
        }


def evaluate(
    captioner: Captioner,
    prepared: Prepared,
    split: str,
    meteor: bool = True,
    neutral: bool = False,
    **decoding: Any,
) -> Evaluation:
    """Caption a split and score the captions, with METEOR if it is asked for.

    A scorer that fails, as METEOR does without Java, leaves its own score out and no other.

    neutral: score the captions without people's gender (the references stay as they are);
    decoding: as in `CaptionDecoder.settings`. Raises `CaptioningError` when the split is empty or
    its vectors are another encoder's.
    """
    names = split_photos(prepared.splits, split)
    own = caption_photos(captioner, prepared, names, **decoding)
    captions = {n: (without_gender(c), s) for n, (c, s) in own.items()} if neutral else own
    texts = {name: caption for name, (caption, _) in captions.items()}
    references = {name: prepared.captions[name] for name in names}
    scores = score_captions(texts, references, meteor)
    # Of all captions of the data: the more uses of a word there are, the surer what it is.
    objects = object_words(row for rows in prepared.captions.values() for row in rows)
    truth = find_truth(texts, references, objects)
    train = training_captions(captioner, prepared)
    settings = captioner.decoder.settings(**decoding)
    training = captioner.trained_model.description.get("training")
    summary = {
        "split": split,
        "photos": len(names),
        "decoder": str(settings),
        "tokenisation": TOKENISATION,
        "signature": make_signature(split, references, settings, training, neutral),
        "scores": _score_table(scores),
        "truth": {kind: one.rates() for kind, one in truth.items()},
        "language": describe_language(texts, references, train),
        "rare words": recall_of_rare_words(texts, references, train),
        # Of the model's own words, before and after: also where the neutral ones are scored.
        "bias": count_bias({name: caption for name, (caption, _) in own.items()}, references),
    }
    # Whatever makes scores incomparable is written beside them: fewer photos than the split has,
    # and a score that was not computed.
    if prepared.missing.get(split):
        summary["missing photos"] = len(prepared.missing[split])
        summary["missing"] = prepared.missing[split]
    left_out = scores.left_out if meteor else {"METEOR": "left out", **scores.left_out}
    summary |= {f"no {name}": reason for name, reason in left_out.items()}
    return Evaluation(captions, references, scores, truth, objects, summary)


def score_split(
    captioner: Captioner, prepared: Prepared, split: str, **decoding: Any
) -> tuple[Scores, dict[str, str]]:
    """Scores of a split's captions, without METEOR, and the captions by file name."""
    result = evaluate(captioner, prepared, split, meteor=False, **decoding)
    return result.scores, result.texts


def _score_table(scores: Scores) -> dict[str, dict[str, Any]]:
    """Each score with its 95% interval, as plain values for JSON."""
    intervals = scores.intervals()
    return {
        name: {"value": round(value, 2), "interval": [round(v, 2) for v in intervals[name]]}
        for name, value in scores.corpus.items()
    }
