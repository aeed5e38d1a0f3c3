"""The files of an evaluation in a model's folder: `scores.json` and `predictions.jsonl`."""

from pathlib import Path

from captioning.evaluation.evaluation import Evaluation
from captioning.files.text import json_text, write_json, write_text


def write_evaluation(result: Evaluation, folder: Path, is_ensemble: bool = False) -> None:
    """Write the summary and, a line a photo, the captions with all it takes to score them again.

    An ensemble's files are `ensemble-scores.json` and `ensemble-predictions.jsonl`, so that they
    don't replace those of the first member, whose folder it is. Raises `CaptioningError` when a
    file can't be written.
    """
    prefix = "ensemble-" if is_ensemble else ""
    write_json(folder / f"{prefix}scores.json", result.summary)
    cider = result.scores.cider
    rows = [
        {
            "photo": name,
            "caption": caption,
            "confidence": round(confidence, 4),  # mean log-probability a word
            "references": result.references[name],
            **({"CIDEr": round(cider[name], 1)} if cider else {}),
        }
        for name, (caption, confidence) in result.captions.items()
    ]
    lines = "".join(json_text(row) + "\n" for row in rows)
    write_text(folder / f"{prefix}predictions.jsonl", lines)
