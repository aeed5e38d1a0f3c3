"""What a model says of a split, its scores, and what else a reader of scores should know."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captioning.data.prepared import Prepared
from captioning.evaluation.language import describe_language
from captioning.evaluation.overlap import training_captions
from captioning.evaluation.photos import some_of, split_photos
from captioning.evaluation.predictions import caption_photos
from captioning.evaluation.scores import TOKENISATION, Scores, has_java, score_captions
from captioning.files.text import json_text, write_json, write_text
from captioning.inference.captioner import Captioner


@dataclass
class Evaluation:
    """A model's captions of a split with their scores.

    captions: {file name: (caption, confidence)}; about: what scores.json holds.
    """

    captions: dict[str, tuple[str, float]]
    references: dict[str, list[str]]
    scores: Scores
    about: dict[str, Any]

    def compare(self, name: str, other: "Evaluation") -> None:
        """Add the paired differences to another model's scores of the same photos."""
        self.about["against"] = {
            "model": name,
            "decoder": other.about["decoder"],
            "scores": other.about["scores"],
            "difference": {
                score: {"value": round(value, 2), "interval": [round(low, 2), round(high, 2)]}
                for score, (value, low, high) in self.scores.minus(other.scores).items()
            },
        }

    def text(self) -> str:
        """The scores and what stands beside them, for people."""
        about = self.about
        lines = [
            f"{about['split']}, {about['photos']:,} photos, {about['decoder']}; "
            f"{about['tokenisation']}",
        ]
        if about.get("missing photos"):
            lines.append(
                f"FEWER THAN THE SPLIT HAS: {about['missing photos']:,} photos missing, without "
                f"vector or caption ({some_of(about['missing'])})"
            )
        against = about.get("against")
        if against:
            lines.append(
                f"{'':10} {'score':>6}   95% interval     minus {against['model']} "
                f"({against['decoder']}), paired"
            )
        for name, row in about["scores"].items():
            low, high = row["interval"]
            line = f"{name:10} {row['value']:6.1f}   {low:5.1f} to {high:5.1f}"
            if against and name in against["difference"]:
                other = against["difference"][name]
                low, high = other["interval"]
                line += f"   {other['value']:+6.1f} ({low:+.1f} to {high:+.1f})"
            lines.append(line)
        if "METEOR" not in about["scores"]:
            lines.append(f"METEOR     {about['no METEOR']}")
        for what, value in about["language"].items():
            shown = ", ".join(value) if isinstance(value, list) else value
            if value is None:
                shown = "not known, the model's training captions are not here"
            lines.append(f"{what}: {shown}")
        return "\n".join(lines)


def evaluate(
    captioner: Captioner, prepared: Prepared, split: str, meteor: bool = True, **decoding: Any
) -> Evaluation:
    """Caption a split and score the captions; METEOR where Java is there and it is asked for.

    Raises `CaptioningError` when the split is empty, or of another encoder's vectors.
    """
    names = split_photos(prepared.splits, split)
    captions = caption_photos(captioner, prepared, names, **decoding)
    said = {name: caption for name, (caption, _) in captions.items()}
    references = {name: prepared.captions[name] for name in names}
    scores = score_captions(said, references, meteor and has_java())
    about = {
        "split": split,
        "photos": len(names),
        "decoder": str(captioner.decoder.settings(**decoding)),
        "tokenisation": TOKENISATION,
        "scores": table(scores, scores.intervals()),
        "language": describe_language(said, references, training_captions(captioner, prepared)),
    }
    if prepared.missing.get(split):
        about["missing photos"] = len(prepared.missing[split])
        about["missing"] = prepared.missing[split]
    if "METEOR" not in scores.corpus:
        about["no METEOR"] = "left out" if not meteor else "not computed: there is no Java here"
    return Evaluation(captions, references, scores, about)


def score_split(
    captioner: Captioner, prepared: Prepared, split: str, **decoding: Any
) -> tuple[Scores, dict[str, str]]:
    """Scores of a split's captions, without METEOR, and the captions by file name."""
    result = evaluate(captioner, prepared, split, meteor=False, **decoding)
    return result.scores, {name: caption for name, (caption, _) in result.captions.items()}


def write_evaluation(result: Evaluation, folder: Path, together: bool = False) -> None:
    """Write `scores.json` and `predictions.jsonl` into a model's folder.

    Of an ensemble (`together`) they are `ensemble-scores.json` and `ensemble-predictions.jsonl`.
    """
    prefix = "ensemble-" if together else ""
    write_json(folder / f"{prefix}scores.json", result.about)
    cider = result.scores.cider
    rows = [
        {
            "photo": name,
            "caption": caption,
            "confidence": round(confidence, 4),
            "references": result.references[name],
            "CIDEr": round(cider[name], 1),
        }
        for name, (caption, confidence) in result.captions.items()
    ]
    lines = "".join(json_text(row) + "\n" for row in rows)
    write_text(folder / f"{prefix}predictions.jsonl", lines)


def table(scores: Scores, intervals: dict[str, list[float]]) -> dict[str, dict[str, Any]]:
    """Each score with its 95% interval, as plain values."""
    return {
        name: {"value": round(value, 2), "interval": [round(v, 2) for v in intervals[name]]}
        for name, value in scores.corpus.items()
    }
