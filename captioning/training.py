"""Training: losses, schedule, early stopping, checkpoints, resume.

One call of `fit` an epoch; what a run must remember between epochs is in `Progress` and in the
checkpoint beside it, so that an interrupted run ends with the weights of an undisturbed one.
"""

import math
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from captioning.batches import CaptionBatches
from captioning.errors import CaptioningError
from captioning.files import read_json, write_json, written_whole
from captioning.models import build_merge
from captioning.prepare import Prepared


@dataclass(frozen=True)
class TrainingSettings:
    """How to train, all of it; written into the checkpoint and the model's folder.

    schedule: with "plateau" the learning rate is cut to `cut` of itself after each epoch whose
    dev loss has not fallen; with "cosine" it goes down to nothing along half a cosine over the
    epochs (Loshchilov & Hutter 2016, https://arxiv.org/abs/1608.03983), which suits a short
    training of known length. After `patience` epochs without a fall the training stops.
    """

    width: int = 384
    dropout: float = 0.5
    batch_size: int = 128
    epochs: int = 30
    learning_rate: float = 1e-3
    schedule: str = "plateau"
    cut: float = 0.5
    patience: int = 4
    seed: int = 1


@dataclass
class Progress:
    """Where a training stands after its last whole epoch."""

    settings: dict[str, Any]
    data: dict[str, Any]
    epoch: int = 0
    learning_rate: float = 0.0
    best_loss: float = float("inf")
    best_epoch: int = 0
    waited: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    def finished(self, settings: TrainingSettings) -> bool:
        """Whether the run has reached its last epoch or stopped early."""
        return self.epoch >= settings.epochs or self.waited >= settings.patience


def word_loss() -> keras.losses.Loss:
    """Cross-entropy of the next word, the mean over words: padding has weight 0 and no part."""
    return keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )


def compile_for_training(model: keras.Model, learning_rate: float) -> None:
    """Give the model its loss and Adam (Kingma & Ba 2014, https://arxiv.org/abs/1412.6980)."""
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=word_loss(),
        jit_compile=keras.backend.backend() == "jax",  # XLA is slower for TensorFlow on CPUs
    )


def loss_per_word(model: keras.Model, batches: CaptionBatches) -> float:
    """The cross-entropy a word, in nats, over all captions of `batches`, dropout off."""
    total = 0.0
    for index in range(len(batches)):
        inputs, targets, weights = batches[index]
        model.reset_metrics()
        loss = model.test_on_batch(inputs, targets, weights)
        total += float(np.asarray(loss)) * float(weights.sum())
    return total / batches.words


def train(
    prepared: Prepared,
    settings: TrainingSettings,
    folder: Path,
    resume: bool = False,
    after_epoch: Callable[[Progress], None] | None = None,
) -> tuple[keras.Model, Progress]:
    """Train a merge model and give it with the weights of its best epoch on dev.

    The checkpoint lives in `folder / "checkpoint"`. Raises `CaptioningError` when the loss is
    no number any more, or when there is nothing to resume, or other settings or data.
    """
    keras.utils.set_random_seed(settings.seed)
    checkpoint = Checkpoint(folder / "checkpoint")
    batches = {split: make_batches(prepared, split, settings) for split in ("train", "dev")}
    about_data = describe_data(prepared)
    if resume:
        progress, model = checkpoint.read(settings, about_data)
    else:
        progress = Progress(asdict(settings), about_data, learning_rate=settings.learning_rate)
        model = new_model(prepared, settings)
    while not progress.finished(settings):
        _train_epoch(model, batches, progress, settings)
        checkpoint.write(model, progress)
        if after_epoch:
            after_epoch(progress)
    return checkpoint.best_model(progress), progress


def new_model(prepared: Prepared, settings: TrainingSettings) -> keras.Model:
    """A compiled merge model whose standardisation fits the vectors of the training photos."""
    vectors = prepared.features.matrix(prepared.splits["train"])  # (photos, D)
    model = build_merge(
        vectors.shape[1], prepared.tokenizer.size, settings.width, settings.dropout
    )
    model.get_layer("standardise").adapt(vectors)
    compile_for_training(model, settings.learning_rate)
    return model


def make_batches(prepared: Prepared, split: str, settings: TrainingSettings) -> CaptionBatches:
    """The batches of a split; dev's are larger, since nothing is learned from them."""
    names, photos, captions = prepared.encoded(split)
    size = settings.batch_size * (2 if split != "train" else 1)
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
    if settings.schedule == "cosine":
        turn = math.cos(math.pi * progress.epoch / settings.epochs)
        progress.learning_rate = settings.learning_rate * (1 + turn) / 2
    model.optimizer.learning_rate = progress.learning_rate
    start_dropout(model, settings.seed, progress.epoch)
    with _Bar(len(batches["train"]), progress.epoch + 1, settings.epochs) as bar:
        logs = model.fit(
            batches["train"], epochs=1, verbose=0, callbacks=[bar.callback],
            shuffle=False,  # the batches have drawn their order; Keras would draw another
        )
        train_loss = float(logs.history["loss"][-1])
        dev_loss = loss_per_word(model, batches["dev"])
        bar.end(train_loss, dev_loss)
    progress.epoch += 1
    if not (np.isfinite(train_loss) and np.isfinite(dev_loss)):
        raise CaptioningError(
            f"the loss of epoch {progress.epoch} is not a number any more (train {train_loss}, "
            f"dev {dev_loss}); lower --learning-rate. The best epoch so far is kept"
        )
    progress.history.append({
        "epoch": progress.epoch,
        "loss": train_loss,
        "dev_loss": dev_loss,
        "learning_rate": progress.learning_rate,
        "seconds": round(time.perf_counter() - began, 1),
    })
    if dev_loss < progress.best_loss:
        progress.best_loss, progress.best_epoch, progress.waited = dev_loss, progress.epoch, 0
    else:
        progress.waited += 1
        if settings.schedule == "plateau":
            progress.learning_rate *= settings.cut


def start_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Make what dropout drops in an epoch a function of seed and epoch alone.

    A saved model doesn't carry the state of its random generators, and a resumed run must
    drop what an undisturbed one would have dropped.
    """
    for layer in model.layers:
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            # The second number counts the draws: epochs start a million draws apart.
            own = zlib.crc32(f"{layer.name} {seed}".encode())
            generator.state.assign(np.array([own, 1_000_000 * epoch], np.uint32))


class Checkpoint:
    """The last epoch's model with its optimizer, the best one, and the progress, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch:03d}.keras"

    def exists(self) -> bool:
        """Whether there is anything to resume."""
        return (self._folder / "progress.json").is_file()

    def write(self, model: keras.Model, progress: Progress) -> None:
        """Keep this epoch; the progress is renamed into place last, and names only whole files."""
        with written_whole(self._file(progress.epoch)) as beside:
            model.save(beside)
        write_json(self._folder / "progress.json", asdict(progress))
        kept = {self._file(progress.epoch), self._file(progress.best_epoch)}
        for file in set(self._folder.glob("epoch-*.keras")) - kept:
            file.unlink()

    def read(
        self, settings: TrainingSettings, data: dict[str, Any]
    ) -> tuple[Progress, keras.Model]:
        """Give progress and model of the last whole epoch.

        Raises `CaptioningError` when there is none, or when it was begun with other settings
        (the number of epochs apart) or other data.
        """
        if not self.exists():
            raise CaptioningError(f"nothing to resume in {self._folder}; leave out --resume")
        progress = Progress(**read_json(self._folder / "progress.json", "the checkpoint"))
        wanted = {**asdict(settings), "epochs": progress.settings["epochs"]}
        for what, before, now in (
            *((f"--{k.replace('_', '-')}", progress.settings[k], wanted[k]) for k in wanted),
            *((f"the data's {k}", progress.data[k], data[k]) for k in data),
        ):
            if before != now:
                raise CaptioningError(
                    f"{what} is {now} but the run in {self._folder} was begun with {before}"
                )
        return progress, _load(self._file(progress.epoch))

    def best_model(self, progress: Progress) -> keras.Model:
        """The model of the best epoch on dev."""
        return _load(self._file(progress.best_epoch))


def _load(file: Path) -> keras.Model:
    try:
        return keras.models.load_model(file)
    except (ValueError, OSError) as error:
        raise CaptioningError(f"cannot read the checkpoint {file}: {error}") from None


class _Bar:
    """A progress bar for an epoch: batches a second, time left, loss."""

    def __init__(self, batches: int, epoch: int, epochs: int) -> None:
        self._bar = tqdm(total=batches, desc=f"epoch {epoch}/{epochs}", unit=" batches")
        self.callback = keras.callbacks.LambdaCallback(on_train_batch_end=self._advance)

    def _advance(self, batch: int, logs: dict[str, float]) -> None:
        self._bar.update()
        if batch % 10 == 0:
            self._bar.set_postfix_str(f"loss {logs['loss']:.3f}")

    def end(self, train_loss: float, dev_loss: float) -> None:
        self._bar.set_postfix_str(f"loss {train_loss:.3f}, dev loss {dev_loss:.3f}")

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
