"""The training loop: epochs, early stopping, checkpoints, resuming.

One call of `fit` an epoch. What must outlive an epoch is in `Progress` and in the checkpoint's
model with its optimizer; all random draws depend on seed and epoch alone. So a resumed training
ends with the same weights as an uninterrupted one.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import keras

from captioning.backend import set_seed
from captioning.data.prepared import Prepared
from captioning.training.batches import Batches, make_batches
from captioning.training.checkpoint import (
    Checkpoint,
    NotFiniteError,
    Progress,
    check_same_everywhere,
    describe_data,
)
from captioning.training.distillation import DistillationBatches, compute_soft_targets
from captioning.training.distribution import alone, is_first_process
from captioning.training.epoch import train_epoch
from captioning.training.losses import loss_evaluator, mean_loss
from captioning.training.mean_weights import OwnCopy
from captioning.training.models import compile_for_training, new_model
from captioning.training.records import EpochRecords
from captioning.training.settings import TrainingSettings
from captioning.training.starting_point import NEW_MODEL, StartingPoint


def train(
    prepared: Prepared,
    settings: TrainingSettings,
    folder: Path,
    resume: bool = False,
    starting_point: StartingPoint = NEW_MODEL,
    records: EpochRecords | None = None,
) -> tuple[keras.Model, Progress]:
    """Train with cross-entropy; returns the model of the best epoch on dev.

    The checkpoint is `folder / "checkpoint"`. When the loss is no longer finite, the training
    ends with the best epoch so far, and `Progress.fault` says where it happened. Raises
    `CaptioningError` when there is none yet, when there is nothing to resume, or when it was
    started with other settings or data.
    """
    # Before anything draws: the seed determines the initial weights.
    set_seed(settings.seed)
    checkpoint = Checkpoint(folder / "checkpoint")
    batches, dev = (make_batches(prepared, split, settings) for split in ("train", "dev"))
    teachers, initial = starting_point.teachers, starting_point.initial
    # Teachers are part of the data: with others the targets are others.
    data = describe_data(prepared) | {"teachers": [t.folder.name for t in teachers]}
    check_same_everywhere(settings, data, prepared)
    if resume:
        progress, model, _ = checkpoint.read(settings, data)
    else:
        progress = Progress(asdict(settings), data, learning_rate=settings.learning_rate)
        model = initial.model if initial else new_model(prepared, settings)
        compile_for_training(model, settings, len(batches))
    train_batches: Batches | DistillationBatches = batches
    if teachers:
        with alone():  # each process computes them all
            soft_targets = compute_soft_targets(
                [(t.model, starting_point.features_for(t, prepared)) for t in teachers], prepared
            )
        train_batches = DistillationBatches(batches, soft_targets)
    evaluator, shown = loss_evaluator(model), OwnCopy(model)

    def dev_scores() -> dict[str, float]:
        scores = {"dev_loss": mean_loss(evaluator, dev)}
        if records and is_first_process():
            with alone():
                scores |= records.score(shown.update())
        return scores

    return run_epochs(
        lambda: train_epoch(model, train_batches, dev_scores, progress, settings),
        model,
        progress,
        checkpoint,
        records,
    )


def run_epochs(
    epoch: Callable[[], None],
    model: keras.Model,
    progress: Progress,
    checkpoint: Checkpoint,
    records: EpochRecords | None = None,
    mean: keras.Model | None = None,
) -> tuple[keras.Model, Progress]:
    """Call `epoch` until the progress is finished, with a checkpoint after each; the best model.

    records: are given the model that is scored on dev, too; mean: as in `Checkpoint.write`. Of
    several processes the first one writes them, and reads the best model; the others give their
    last one. Raises `NotFiniteError` when `epoch` does before there is a best epoch.
    """
    shown = OwnCopy(model)
    while not progress.finished():
        try:
            epoch()
        except NotFiniteError as error:
            if not progress.best_epoch:
                raise
            # Hours of training are not thrown away; the caller saves the model, then reports.
            progress.fault = f"{error}. The model of epoch {progress.best_epoch} is kept"
            break
        checkpoint.write(model, progress, mean)
        if records and is_first_process():
            with alone():
                records.write(progress, mean or shown.update())
    return checkpoint.best_model(progress) if is_first_process() else model, progress
