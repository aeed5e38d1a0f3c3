"""The files of an evaluation: `scores.json` and `predictions.jsonl`, and where they go."""

import os
from pathlib import Path

from captioning.evaluation.evaluation import Evaluation
from captioning.files.text import json_text, write_json, write_text
from captioning.inference.models import SHIPPED, models_folder, shipped_folder


def results_folder(model: Path) -> Path:
    """Where evaluations of a model are kept: its own folder, if it was trained here.

    A model that comes with the project stays as it came, and a read-only folder can't be written
    to: then it is `scores/NAME` beside the trained models.
    """
    model = model.resolve()
    is_shipped = model.parent == shipped_folder().resolve() and model.name in SHIPPED
    if not is_shipped and os.access(model, os.W_OK):
        return model
    return models_folder() / "scores" / model.name


def results_prefix(data: Path, is_own_data: bool, is_ensemble: bool) -> str:
    """What the names of an evaluation's files begin with, so that none replaces another's.

    data: the folder of the photos or of what was prepared of them; is_own_data: whether the model
    was trained on them, whose files have the plain names.
    """
    ensemble = "ensemble-" if is_ensemble else ""
    return ensemble if is_own_data else f"{ensemble}{data.resolve().name or 'photos'}-"


def write_evaluation(result: Evaluation, folder: Path, prefix: str = "") -> None:
    """Write the summary and, a line a photo, the captions with all it takes to score them again.

    prefix: of the files' names, as `results_prefix` gives it. Raises `CaptioningError` when a file
    can't be written.
    """
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
