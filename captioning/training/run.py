"""A training from its settings to a model's folder with its history and its pictures."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from captioning.data.prepared import Prepared
from captioning.errors import CaptioningError
from captioning.inference.trained_model import TrainedModel, save_trained_model
from captioning.inference.trained_on import write_trained_on
from captioning.pictures.figures import draw_curves, draw_model, save_figure
from captioning.training.checkpoint import Checkpoint, Progress
from captioning.training.history import write_history
from captioning.training.loop import train
from captioning.training.self_critical import finetune
from captioning.training.settings import FinetuningSettings, TrainingSettings

SECONDS_BETWEEN_PICTURES = 30
"""Curves are drawn anew while training, but not after each epoch of a second or two."""


def train_model(
    prepared: Prepared,
    settings: TrainingSettings | FinetuningSettings,
    output: Path,
    resume: bool = False,
    initial: TrainedModel | None = None,
    after_epoch: Callable[[Progress], None] | None = None,
    teachers: Sequence[TrainedModel] = (),
) -> Progress:
    """Train or fine-tune into the folder `output`: the model, its history and its pictures.

    A new model, or the `initial` one further; fine-tuning needs one. A training, but no
    fine-tuning, may have teachers. `after_epoch` is told of each epoch, to show it. Raises
    `CaptioningError` as `train` does, and when the loss was no number any more, with the best
    epoch saved.
    """
    output = Path(output)
    before = initial.description["training"] if initial else None
    start = None if initial is None else _fitting(initial, prepared, settings.decoder)
    taught_by = {str(bundle.folder): _fitting(bundle, prepared) for bundle in teachers}
    if not resume:
        Checkpoint(output / "checkpoint").remove()
    drawn = time.monotonic()

    def keep_history(progress: Progress) -> None:
        nonlocal drawn
        write_history(output, progress.history)
        if time.monotonic() - drawn > SECONDS_BETWEEN_PICTURES:
            save_figure(draw_curves(progress.history), output / "curves.png")
            drawn = time.monotonic()
        if after_epoch:
            after_epoch(progress)

    if isinstance(settings, FinetuningSettings):
        model, progress = finetune(prepared, start, settings, output, resume, keep_history)
    else:
        model, progress = train(prepared, settings, output, resume, keep_history, start, taught_by)
    save_figure(draw_curves(progress.history), output / "curves.png")
    save_figure(draw_model(model), output / "model.png")
    training = {
        "settings": asdict(settings),
        "data": progress.data,
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "best_of_dev": progress.history[progress.best_epoch - 1],
        "seconds": round(sum(row["seconds"] for row in progress.history)),
        "before": before,
    }
    write_trained_on(
        output,
        prepared.splits["train"],
        prepared.features.contents,
        [bundle.folder for bundle in (initial, *teachers) if bundle],
    )
    save_trained_model(
        output, model, prepared.tokenizer, prepared.features.made_by, prepared.longest, training
    )
    Checkpoint(output / "checkpoint").remove()
    if progress.fault:
        raise CaptioningError(f"{progress.fault} in {output}")
    return progress


def _fitting(initial: TrainedModel, prepared: Prepared, decoder: str | None = None) -> Any:
    """The initial model or a teacher, if it fits the data and the decoder (if one is named)."""
    for what, ours, theirs in (
        ("decoder", initial.model.name, decoder or initial.model.name),
        ("vocabulary", initial.tokenizer.words, prepared.tokenizer.words),
        *(
            (key, value, prepared.features.made_by.get(key))
            for key, value in initial.encoder.items()
        ),
    ):
        if ours != theirs:
            told = f": {ours!r} there, {theirs!r} here" if what != "vocabulary" else ""
            raise CaptioningError(
                f"{initial.folder} has another {what} than this training{told}; features.py --like "
                f"{initial.folder} prepares data to go on from it"
            )
    return initial.model
