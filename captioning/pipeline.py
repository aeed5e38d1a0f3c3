"""The stages put together: train and save a model, caption and score a split."""

import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from captioning.bundle import save_bundle, write_history
from captioning.captioner import Captioner
from captioning.errors import CaptioningError
from captioning.pictures import draw_curves, draw_model, save_figure
from captioning.prepare import Prepared
from captioning.scoring import Scores, score_captions
from captioning.training import Progress, TrainingSettings, describe_data, train

SECONDS_BETWEEN_PICTURES = 30
"""Curves are drawn anew while training, but not after each epoch of a second or two."""

PHOTOS_AT_ONCE = 250
"""So many photos' grids are in memory while a split is captioned."""


def train_model(
    prepared: Prepared, settings: TrainingSettings, output: Path, resume: bool = False
) -> Progress:
    """Train a merge model into the folder `output`: the model, its history and its pictures.

    Raises `CaptioningError` as `train` does; what is in the folder then stays as it was.
    """
    output = Path(output)

    drawn = time.monotonic()

    def keep_history(progress: Progress) -> None:
        nonlocal drawn
        write_history(output, progress.history)
        if time.monotonic() - drawn > SECONDS_BETWEEN_PICTURES:
            save_figure(draw_curves(progress.history), output / "curves.png")
            drawn = time.monotonic()

    if not resume:
        shutil.rmtree(output / "checkpoint", ignore_errors=True)
    model, progress = train(prepared, settings, output, resume, keep_history)
    save_figure(draw_curves(progress.history), output / "curves.png")
    save_figure(draw_model(model), output / "model.png")
    training = {
        "settings": asdict(settings),
        "data": describe_data(prepared),
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "dev_loss": -progress.best,
        "seconds": round(sum(row["seconds"] for row in progress.history)),
    }
    save_bundle(
        output, model, prepared.tokenizer, prepared.features.made_by, prepared.longest, training
    )
    shutil.rmtree(output / "checkpoint", ignore_errors=True)
    return progress


def caption_split(
    captioner: Captioner, prepared: Prepared, split: str, **decoding: Any
) -> dict[str, str]:
    """A caption for each photo of a split, from its vector: {file name: caption}.

    Raises `CaptioningError` when the vectors were made by another encoder than the model's.
    """
    made_by, wanted = prepared.features.made_by, captioner.bundle.encoder
    for key in wanted:
        if made_by.get(key) != wanted[key]:
            raise CaptioningError(
                f"the vectors were made with {key} {made_by.get(key)!r}, but the model in "
                f"{captioner.bundle.folder} was trained with {wanted[key]!r}"
            )
    names = prepared.splits.get(split) or []
    if not names:
        raise CaptioningError(f"the {split} split is empty")
    captions = {}
    for start in range(0, len(names), PHOTOS_AT_ONCE):
        some = names[start : start + PHOTOS_AT_ONCE]
        vectors, grids = prepared.features.matrix(some), None
        if captioner.reads_grids:
            grids = prepared.features.grids[prepared.features.grid_rows(some)[:, 0]]
        found = captioner.describe(vectors, grids, **decoding)
        captions |= {n: captioner.text(h[0]) for n, h in zip(some, found, strict=True)}
    return captions


def score_split(
    captioner: Captioner, prepared: Prepared, split: str, **decoding: Any
) -> tuple[Scores, dict[str, str]]:
    """Scores of a split's captions against its references, and the captions."""
    captions = caption_split(captioner, prepared, split, **decoding)
    return score_captions(captions, prepared.captions), captions
