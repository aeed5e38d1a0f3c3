"""Training: loss, schedule, early stopping, checkpoints, resume.

One call of `fit` an epoch; what a run must remember between epochs is in `Progress` and in the
checkpoint beside it, so that an interrupted run ends with the weights of an undisturbed one.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from captioning.backend import uses_xla
from captioning.data.prepared import Prepared
from captioning.decoders.build import build_decoder
from captioning.decoders.kinds import READ_GRIDS, Architecture
from captioning.training.batches import Batches, CaptionBatches, PhotoBatches
from captioning.training.checkpoint import Checkpoint, NotFiniteError, Progress
from captioning.training.distillation import DistillationBatches, soft_targets_of
from captioning.training.losses import WordLoss, loss_per_word
from captioning.training.settings import TrainingSettings

PHOTOS_TO_STANDARDISE = 1000
"""Of so many photos' grids the mean and the variance are taken: 100,000 regions."""


def compile_for_training(model: keras.Model, settings: TrainingSettings, steps: int = 1) -> None:
    """Give the model its loss and Adam, with `steps` steps an epoch.

    Kingma & Ba 2014, https://arxiv.org/abs/1412.6980; the decay of the weights apart from the
    gradient, as Loshchilov & Hutter 2017, https://arxiv.org/abs/1711.05101.
    """
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        warm_up = round(settings.warm_up * steps)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warm_up else rate,
            max(1, settings.epochs * steps - warm_up),
            warmup_target=rate if warm_up else None,
            warmup_steps=warm_up,
        )
    model.compile(
        optimizer=keras.optimizers.Adam(rate, weight_decay=settings.weight_decay or None),
        loss=WordLoss(settings.smoothing),
        jit_compile=uses_xla(),
    )


def train(
    prepared: Prepared,
    settings: TrainingSettings,
    folder: Path,
    resume: bool = False,
    after_epoch: Callable[[Progress], None] | None = None,
    initial: keras.Model | None = None,
    teachers: dict[str, keras.Model] | None = None,
) -> tuple[keras.Model, Progress]:
    """Train a model, a new one or `initial`, and give it with the weights of its best epoch on dev.

    With teachers, models by folder, what they say of the training captions counts beside these.
    The checkpoint lives in `folder / "checkpoint"`. When the loss is no number any more, the
    training ends with the best epoch before, and `Progress.fault` says where it broke; raises
    `CaptioningError` when there is none, or nothing to resume, or other settings or data.
    """
    keras.utils.set_random_seed(settings.seed)
    checkpoint = Checkpoint(folder / "checkpoint")
    batches = {split: make_batches(prepared, split, settings) for split in ("train", "dev")}
    about_data = describe_data(prepared) | {"teachers": [Path(t).name for t in teachers or ()]}
    if resume:
        progress, model = checkpoint.read(settings, about_data)
    else:
        progress = Progress(asdict(settings), about_data, learning_rate=settings.learning_rate)
        model = new_model(prepared, settings) if initial is None else initial
        compile_for_training(model, settings, len(batches["train"]))
    if teachers:
        lessons = soft_targets_of(list(teachers.values()), prepared)
        batches["train"] = DistillationBatches(batches["train"], lessons)
    return run_epochs(
        lambda: _train_epoch(model, batches, progress, settings),
        model,
        progress,
        checkpoint,
        after_epoch,
    )


def run_epochs(
    epoch: Callable[[], None],
    model: keras.Model,
    progress: Progress,
    checkpoint: "Checkpoint",
    after_epoch: Callable[[Progress], None] | None,
    mean: keras.Model | None = None,
) -> tuple[keras.Model, Progress]:
    """Do `epoch` until the progress is finished, keep each, give the best model.

    Raises `NotFiniteError` when that happens before there is a good epoch.
    """
    while not progress.finished():
        try:
            epoch()
        except NotFiniteError as error:
            if not progress.best_epoch:
                raise
            progress.fault = f"{error}. The model of epoch {progress.best_epoch} is kept"
            break
        checkpoint.write(model, progress, mean)
        if after_epoch:
            after_epoch(progress)
    return checkpoint.best_model(progress), progress


def new_model(prepared: Prepared, settings: TrainingSettings) -> keras.Model:
    """A model whose standardisation fits the vectors or grids of the training photos."""
    names = prepared.splits["train"]
    if settings.decoder in READ_GRIDS:
        rows = prepared.features.grid_rows(names[:PHOTOS_TO_STANDARDISE])[:, 0]
        photos = prepared.features.grids[np.sort(rows)].astype(np.float32)  # (P, regions, D)
    else:
        photos = prepared.features.matrix(names)  # (P, D)
    architecture = Architecture(settings.decoder, settings.width, settings.dropout, settings.depth)
    model = build_decoder(architecture, photos.shape[1:], prepared.tokenizer.size, prepared.longest)
    model.get_layer("standardise").adapt(photos)
    return model


def make_batches(prepared: Prepared, split: str, settings: TrainingSettings) -> Batches:
    """The batches of a split; dev's are larger, since nothing is learned from them."""
    size = settings.batch_size * (2 if split != "train" else 1)
    if settings.decoder in READ_GRIDS:
        names = prepared.splits[split]
        captions = [list(map(prepared.tokenizer.encode, prepared.captions[n])) for n in names]
        views = prepared.features.grid_rows(names)  # (photos, views)
        views = views if split == "train" else views[:, :1]
        return PhotoBatches(prepared.features.grids, views, captions, size, settings.seed)
    names, photos, captions = prepared.encoded(split)
    vectors = prepared.features.matrix(names)
    return CaptionBatches(vectors, np.array(photos), captions, size, settings.seed)


def describe_data(prepared: Prepared) -> dict[str, Any]:
    """What a model was trained on, to be held against the data of a resumed run."""
    return {
        "photos": {split: len(names) for split, names in prepared.splits.items()},
        "words": prepared.tokenizer.size,
        "encoder": prepared.features.made_by,
    }


def _train_epoch(
    model: keras.Model,
    batches: dict[str, CaptionBatches],
    progress: Progress,
    settings: TrainingSettings,
) -> None:
    began = time.perf_counter()
    batches["train"].start_epoch(progress.epoch)
    if settings.schedule == "plateau":
        model.optimizer.learning_rate = progress.learning_rate
    start_dropout(model, settings.seed, progress.epoch)
    with _Bar(len(batches["train"]), progress.epoch + 1, settings.epochs) as bar:
        logs = model.fit(
            batches["train"],
            epochs=1,
            verbose=0,
            callbacks=[bar.callback],
            shuffle=False,  # the batches have drawn their order; Keras would draw another
        )
        train_loss = float(logs.history["loss"][-1])
        if bar.broken_at is not None:
            raise NotFiniteError(
                f"the loss is not a number any more at batch {bar.broken_at + 1:,} of epoch "
                f"{progress.epoch + 1}; lower --learning-rate"
            )
        dev_loss = loss_per_word(model, batches["dev"])
        bar.end(train_loss, dev_loss)
    if not (np.isfinite(train_loss) and np.isfinite(dev_loss)):
        raise NotFiniteError(
            f"the loss of epoch {progress.epoch + 1} is not a number any more (train {train_loss}, "
            f"dev {dev_loss}); lower --learning-rate"
        )
    progress.epoch += 1
    row = {
        "epoch": progress.epoch,
        "loss": train_loss,
        "dev_loss": dev_loss,
        "learning_rate": float(model.optimizer.learning_rate),
        "seconds": round(time.perf_counter() - began, 1),
    }
    if not progress.record(row, -dev_loss) and settings.schedule == "plateau":
        progress.learning_rate *= settings.cut


def start_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Make what dropout drops in an epoch a function of seed and epoch alone.

    A saved model doesn't carry the state of its random generators, and a resumed run must
    drop what an undisturbed one would have dropped.
    """
    states = [v for v in model.variables if v.path.endswith("seed_generator_state")]
    for number, state in enumerate(states):
        # The second number counts the draws: epochs start a million draws apart.
        state.assign(np.array([seed * 1000 + number, 1_000_000 * epoch], np.uint32))


class _Bar:
    """A progress bar for an epoch: batches a second, time left, loss."""

    def __init__(self, batches: int, epoch: int, epochs: int) -> None:
        self._bar = tqdm(total=batches, desc=f"epoch {epoch}/{epochs}", unit=" batches")
        self.broken_at: int | None = None
        self.callback = keras.callbacks.LambdaCallback(on_train_batch_end=self._advance)

    def _advance(self, batch: int, logs: dict[str, float]) -> None:
        self._bar.update()
        if self.broken_at is None and not np.isfinite(logs["loss"]):
            self.broken_at = batch
            self.callback.model.stop_training = True
        if batch % 10 == 0:
            self._bar.set_postfix_str(f"loss {logs['loss']:.3f}")

    def end(self, train_loss: float, dev_loss: float) -> None:
        self._bar.set_postfix_str(f"loss {train_loss:.3f}, dev loss {dev_loss:.3f}")

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
