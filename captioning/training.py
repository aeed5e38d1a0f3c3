"""Training: loss, schedule, early stopping, checkpoints, resume.

One call of `fit` an epoch; what a run must remember between epochs is in `Progress` and in the
checkpoint beside it, so that an interrupted run ends with the weights of an undisturbed one.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from captioning.backend import uses_xla
from captioning.batches import Batches, CaptionBatches, PhotoBatches
from captioning.decoders import READ_GRIDS, build_decoder
from captioning.errors import CaptioningError
from captioning.files import read_json, write_json, written_whole
from captioning.model_file import check_model_file
from captioning.prepare import Prepared
from captioning.settings import TrainingSettings
from captioning.teaching import TaughtBatches, ask_teachers

PHOTOS_TO_STANDARDISE = 1000
"""Of so many photos' grids the mean and the variance are taken: 100,000 regions."""


class NotANumberError(CaptioningError):
    """The loss, or what the model says, is no number any more."""


@dataclass
class Progress:
    """Where a training stands after its last whole epoch; `fault` is why it ended too early."""

    settings: dict[str, Any]
    data: dict[str, Any]
    epoch: int = 0
    learning_rate: float = 0.0
    best: float = float("-inf")
    best_epoch: int = 0
    waited: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    fault: str = ""

    def finished(self) -> bool:
        """Whether the run has reached its last epoch or stopped early."""
        return self.epoch >= self.settings["epochs"] or self.waited >= self.settings["patience"]

    def record(self, row: dict[str, float], goodness: float) -> bool:
        """Write down an epoch and how good its model is, higher is better; whether it's the best.
        """
        self.history.append(row)
        better = goodness > self.best
        if better:
            self.best, self.best_epoch, self.waited = goodness, self.epoch, 0
        else:
            self.waited += 1
        return better


@keras.saving.register_keras_serializable("captioning")
class WordLoss(keras.losses.Loss):
    """Cross-entropy of the next word, the mean over words: padding has weight 0 and no part.

    targets: int (..., T), or how likely each word shall be, (..., T, vocabulary); logits: (..., T,
    vocabulary). Only whole words are smoothed.
    """

    def __init__(self, smoothing: float = 0.0, **options: Any) -> None:
        super().__init__(**{"reduction": "mean_with_sample_weight", **options})
        self.smoothing = smoothing

    def call(self, targets: Any, logits: Any) -> Any:
        """The loss of each word, (..., T)."""
        if len(targets.shape) == len(logits.shape):
            return keras.ops.categorical_crossentropy(targets, logits, from_logits=True)
        exact = keras.ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)
        if not self.smoothing:
            return exact
        even = keras.ops.logsumexp(logits, axis=-1) - keras.ops.mean(logits, axis=-1)
        return (1 - self.smoothing) * exact + self.smoothing * even

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`, for saving."""
        return {**super().get_config(), "smoothing": self.smoothing}


def compile_for_training(
    model: keras.Model, settings: TrainingSettings, steps: int = 1
) -> None:
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


def loss_per_word(model: keras.Model, batches: Batches) -> float:
    """The cross-entropy a word, in nats, over all captions of `batches`; no dropout or smoothing.
    """
    judge = keras.Model(model.inputs, model.outputs)
    judge.compile(loss=WordLoss(), jit_compile=uses_xla())
    total = 0.0
    for index in range(len(batches)):
        inputs, targets, weights = batches[index]
        judge.reset_metrics()
        loss = judge.test_on_batch(inputs, targets, weights)
        total += float(np.asarray(loss)) * float(weights.sum())
    return total / batches.words


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
        lessons = ask_teachers(list(teachers.values()), prepared)
        batches["train"] = TaughtBatches(batches["train"], lessons)
    return run_epochs(
        lambda: _train_epoch(model, batches, progress, settings),
        model, progress, checkpoint, after_epoch,
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

    Raises `NotANumberError` when that happens before there is a good epoch.
    """
    while not progress.finished():
        try:
            epoch()
        except NotANumberError as error:
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
    model = build_decoder(
        settings.decoder, photos.shape[1:], prepared.tokenizer.size, prepared.longest,
        settings.width, settings.dropout, settings.depth,
    )
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
            batches["train"], epochs=1, verbose=0, callbacks=[bar.callback],
            shuffle=False,  # the batches have drawn their order; Keras would draw another
        )
        train_loss = float(logs.history["loss"][-1])
        if bar.broken_at is not None:
            raise NotANumberError(
                f"the loss is not a number any more at batch {bar.broken_at + 1:,} of epoch "
                f"{progress.epoch + 1}; lower --learning-rate"
            )
        dev_loss = loss_per_word(model, batches["dev"])
        bar.end(train_loss, dev_loss)
    if not (np.isfinite(train_loss) and np.isfinite(dev_loss)):
        raise NotANumberError(
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


class Checkpoint:
    """The last epoch's model with its optimizer, the best one, and the progress, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch:03d}.keras"

    def _mean(self, epoch: int) -> Path:
        return self._folder / f"mean-{epoch:03d}.keras"

    def exists(self) -> bool:
        """Whether there is anything to resume."""
        return (self._folder / "progress.json").is_file()

    def write(
        self, model: keras.Model, progress: Progress, mean: keras.Model | None = None
    ) -> None:
        """Keep this epoch; the progress is renamed into place last, and names only whole files.

        mean: the model whose weights are the mean of the epochs', where a training has one.
        """
        for file, kept in ((self._file(progress.epoch), model), (self._mean(progress.epoch), mean)):
            if kept is not None:
                with written_whole(file) as beside:
                    kept.save(beside)
        write_json(self._folder / "progress.json", asdict(progress))
        epochs = (progress.epoch, progress.best_epoch)
        kept = {named(epoch) for named in (self._file, self._mean) for epoch in epochs}
        for file in set(self._folder.glob("*.keras")) - kept:
            file.unlink()

    def mean_model(self, progress: Progress) -> keras.Model:
        """The model whose weights are the mean of the epochs' so far."""
        return _load(self._mean(progress.epoch))

    def read(
        self, settings: Any, data: dict[str, Any]
    ) -> tuple[Progress, keras.Model]:
        """Give progress and model of the last whole epoch.

        Raises `CaptioningError` when there is none, or when it was begun with other settings
        (the number of epochs apart, where no schedule hangs on it) or other data.
        """
        if not self.exists():
            raise CaptioningError(f"nothing to resume in {self._folder}; leave out --resume")
        wanted = asdict(settings)
        progress = self._read_progress(set(wanted), set(data))
        if wanted.get("schedule") != "cosine":  # whose learning rates hang on the last epoch
            progress.settings["epochs"] = wanted["epochs"]
        for what, before, now in (
            *((f"--{k.replace('_', '-')}", progress.settings[k], wanted[k]) for k in wanted),
            *((f"the data's {k}", progress.data[k], data[k]) for k in data),
        ):
            if before != now:
                raise CaptioningError(
                    f"{what} is {now} but the run in {self._folder} was begun with {before}"
                )
        return progress, _load(self._file(progress.epoch))

    def _read_progress(self, settings: set[str], data: set[str]) -> Progress:
        file = self._folder / "progress.json"
        told = read_json(file, "the checkpoint")
        kinds = {
            "settings": dict, "data": dict, "epoch": int, "learning_rate": int | float,
            "best": int | float, "best_epoch": int, "waited": int, "history": list, "fault": str,
        }
        if not (
            isinstance(told, dict)
            and told.keys() == kinds.keys()
            and all(isinstance(told[key], kind) for key, kind in kinds.items())
            and told["settings"].keys() == settings
            and told["data"].keys() == data
            and 1 <= told["best_epoch"] <= told["epoch"] == len(told["history"])
        ):
            raise CaptioningError(
                f"{file} tells of no training that this command could go on with; leave out "
                "--resume and add --overwrite to begin anew"
            )
        return Progress(**told)

    def remove(self) -> None:
        """Drop the checkpoint, `progress.json` first: without it the rest counts for nothing."""
        (self._folder / "progress.json").unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def best_model(self, progress: Progress) -> keras.Model:
        """The model of the best epoch on dev: the mean's, where there is one."""
        mean = self._mean(progress.best_epoch)
        return _load(mean if mean.exists() else self._file(progress.best_epoch))


def _load(file: Path) -> keras.Model:
    check_model_file(file)
    try:
        return keras.models.load_model(file)
    except (ValueError, OSError) as error:
        raise CaptioningError(f"cannot read the checkpoint {file}: {error}") from None


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
