"""A training from its settings to a model's folder with its history and its figures."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import keras

from captioning.data.prepared import Prepared
from captioning.errors import CaptioningError
from captioning.inference.critic import CRITIC
from captioning.inference.description import DESCRIPTION
from captioning.inference.familiarity import FAMILIARITY, write_familiarity
from captioning.inference.trained_model import TrainedModel, save_trained_model
from captioning.inference.trained_on import write_trained_on
from captioning.pictures.figures import save_figure
from captioning.pictures.model_figure import draw_model
from captioning.training.checkpoint import Checkpoint, Progress
from captioning.training.distribution import alone, is_first_process
from captioning.training.history import BEFORE, HISTORY, read_history, write_history
from captioning.training.inherited import familiarity_of, inherit_decoding, inherit_own_weights
from captioning.training.loop import train
from captioning.training.records import NOBODY, EpochRecords, Watch
from captioning.training.self_critical import finetune_on_cider
from captioning.training.settings import FinetuningSettings, TrainingSettings
from captioning.training.starting_point import NEW_MODEL, StartingPoint
from captioning.vision.own_weights import OWN_WEIGHTS, OwnWeights, fingerprint_of, write_own_weights

FAMILIAR_PHOTOS = 50_000
"""What the training photos are like is told by so many of them."""


def train_model(
    prepared: Prepared,
    settings: TrainingSettings | FinetuningSettings,
    output: Path,
    resume: bool = False,
    starting_point: StartingPoint = NEW_MODEL,
    watch: Watch = NOBODY,
) -> Progress:
    """Train or fine-tune into the folder `output`: the model, its history and its figures.

    `FinetuningSettings` need an initial model and allow no teachers. watch: who is told of each
    epoch. Raises `CaptioningError` as `train` does, and also when the loss is no
    longer finite after the first epoch; the model of the best epoch is then saved all the same.
    Of several processes the first one writes.
    """
    output = Path(output)
    # Before the old checkpoint goes: what can't be trained must not cost an unfinished training.
    starting_point.check(prepared, settings.decoder)
    checkpoint = Checkpoint(output / "checkpoint")
    if not resume:
        checkpoint.remove()
    before = _history_before(output, resume, starting_point) if is_first_process() else []
    records = EpochRecords(prepared, output, resume, before, watch)
    if isinstance(settings, FinetuningSettings):
        model, progress = finetune_on_cider(
            prepared, settings, output, resume, starting_point, records
        )
    else:
        model, progress = train(prepared, settings, output, resume, starting_point, records)
    if is_first_process():
        records.draw(progress)
        with alone():
            _save(model, progress, prepared, output, starting_point)
        checkpoint.remove()  # last: until the model is saved, it is all there is
    if progress.fault:
        raise CaptioningError(f"{progress.fault} in {output}")
    return progress


def _history_before(
    output: Path, resume: bool, starting_point: StartingPoint
) -> list[dict[str, float]]:
    """The epochs of the model that is trained further, kept in `output` for a resumed training."""
    if not resume:
        (output / BEFORE).unlink(missing_ok=True)
        with suppress(CaptioningError):  # what isn't such a table is of no use for the curves
            initial = starting_point.initial
            if initial and (history := read_history(initial.folder, HISTORY)):
                write_history(output, history, BEFORE)
    with suppress(CaptioningError):
        return read_history(output, BEFORE)
    return []


def _save(
    model: keras.Model,
    progress: Progress,
    prepared: Prepared,
    output: Path,
    starting_point: StartingPoint,
) -> None:
    """Write the model's folder.

    `trained_on.txt` and `familiarity.npz` come before the model: no model is without them.
    """
    save_figure(draw_model(model), output / "model.png")
    initial = starting_point.initial
    training = _how(progress, initial)
    write_trained_on(
        output,
        prepared.splits["train"],
        prepared.features.contents,
        [trained.folder for trained in starting_point.models],
    )
    train_vectors, dev_vectors = (
        prepared.features.matrix(prepared.splits[split][:FAMILIAR_PHOTOS])
        for split in ("train", "dev")
    )
    write_familiarity(output, familiarity_of(initial, train_vectors, dev_vectors))
    inherit_own_weights(starting_point, prepared.features.made_by, output)
    about = {
        "encoder": prepared.features.made_by,
        "max_length": prepared.longest,
        "training": training,
    }
    if initial:
        about["max_length"] = max(prepared.longest, initial.max_length)
        about["decoding"] = inherit_decoding(initial, output)
    save_trained_model(output, model, prepared.tokenizer, about)


def _how(progress: Progress, initial: TrainedModel | None) -> dict[str, Any]:
    """How a model was trained, for its description."""
    return {
        "settings": progress.settings,
        "data": progress.data,
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "best_of_dev": progress.history[progress.best_epoch - 1],
        "seconds": round(sum(row["seconds"] for row in progress.history)),
        "before": initial.description["training"] if initial else None,
    }


def save_with_encoder(
    progress: Progress, prepared: Prepared, initial: TrainedModel, own: OwnWeights, output: Path
) -> None:
    """Write the folder of a model whose encoder was trained along with it.

    Critic and familiarity are left out: they are of the vectors that the encoder gave before.
    """
    save_figure(draw_model(initial.model), output / "model.png")
    write_history(output, progress.history)
    # An old description would vouch for the new weights if the run were killed between the two.
    (output / DESCRIPTION).unlink(missing_ok=True)
    write_own_weights(output / OWN_WEIGHTS, initial.encoder["name"], own)
    contents = prepared.features.contents
    write_trained_on(output, prepared.splits["train"], contents, [initial.folder])
    for name in (CRITIC, FAMILIARITY):
        (output / name).unlink(missing_ok=True)
    weights = fingerprint_of(output / OWN_WEIGHTS)
    about = {
        "encoder": {**initial.encoder, "weights": weights},
        "max_length": max(prepared.longest, initial.max_length),
        "training": _how(progress, initial),
        "decoding": {k: v for k, v in initial.decoding.items() if k != "critic"},
    }
    save_trained_model(output, initial.model, prepared.tokenizer, about)
