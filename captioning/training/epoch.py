"""One epoch of cross-entropy training."""

import time
from collections.abc import Callable

import keras
import numpy as np
from tqdm import tqdm

from captioning.pictures.curves import FEW_CIDER
from captioning.training.batches import Batches
from captioning.training.checkpoint import NotFiniteError, Progress
from captioning.training.distillation import DistillationBatches
from captioning.training.dropout import seed_dropout
from captioning.training.settings import TrainingSettings


def train_epoch(
    model: keras.Model,
    train: Batches | DistillationBatches,
    dev_scores_of: Callable[[], dict[str, float]],
    progress: Progress,
    settings: TrainingSettings,
) -> None:
    """Train an epoch and add it to the progress. Raises `NotFiniteError` with where it happened.

    dev_scores_of: gives what is measured on dev, of the model as it is when called: "dev_loss", a
    word's, and whatever else the row of `history.csv` is to have.
    """
    began = time.perf_counter()
    train.start_epoch(progress.epoch)
    if settings.schedule == "plateau":
        # Set from the progress, not left to the optimizer: the checkpoint's model was saved
        # before the learning rate was cut. (The cosine is part of the saved optimizer.)
        model.optimizer.learning_rate = progress.learning_rate
    seed_dropout(model, settings.seed, progress.epoch)
    rows = [train.rows_at(index) for index in range(len(train))]
    with EpochBar(rows, progress.epoch + 1, settings.epochs) as bar:
        model.fit(
            train,
            epochs=1,
            verbose=0,
            callbacks=[bar.callback],
            shuffle=False,  # the batches have drawn their order; Keras would draw another
        )
        train_loss = bar.loss
        if bar.not_finite_at is not None:
            raise NotFiniteError(
                f"the loss is not finite at batch {bar.not_finite_at + 1:,} of epoch "
                f"{progress.epoch + 1}; lower --learning-rate"
            )
        dev_scores = dev_scores_of()
        dev_loss = dev_scores["dev_loss"]
        bar.end(train_loss, dev_scores)
    # The last step's loss is that of the weights before it: only dev's shows what it made of them.
    if not (np.isfinite(train_loss) and np.isfinite(dev_loss)):
        raise NotFiniteError(
            f"the loss of epoch {progress.epoch + 1} is not finite (train {train_loss}, "
            f"dev {dev_loss}); lower --learning-rate"
        )
    progress.epoch += 1
    row = {
        "epoch": progress.epoch,
        "loss": train_loss,
        **dev_scores,
        "learning_rate": float(model.optimizer.learning_rate),
        "seconds": round(time.perf_counter() - began, 1),
    }
    if not progress.record(row, -dev_loss) and settings.schedule == "plateau":
        progress.learning_rate *= settings.cut


class EpochBar:
    """A progress bar for an epoch, driven by `callback`: batches a second, time left, loss.

    It stops the epoch at the first batch whose loss is not finite, `not_finite_at`. loss: the
    mean over the batches so far, each with the weight of its rows.

    rows: of each batch, before and after it was filled up for several processes. Keras counts the
    rows that fill it, of which there are more with more processes.
    """

    def __init__(self, rows: list[tuple[int, int]], epoch: int, epochs: int) -> None:
        self._bar = tqdm(total=len(rows), desc=f"epoch {epoch}/{epochs}", unit=" batches")
        self._rows = rows
        self._total = self._counted = self._keras_total = self._keras_counted = 0.0
        self.loss = float("nan")
        self.not_finite_at: int | None = None
        self.callback = keras.callbacks.LambdaCallback(on_train_batch_end=self._advance)

    def _advance(self, batch: int, logs: dict[str, float]) -> None:
        self._bar.update()
        # Keras gives the epoch's mean so far: once not finite, it stays so. The first batch counts.
        if self.not_finite_at is None and not np.isfinite(logs["loss"]):
            self.not_finite_at = batch
            self.callback.model.stop_training = True
        self._count(*self._rows[batch], float(logs["loss"]))
        if batch % 10 == 0:
            self._bar.set_postfix_str(f"loss {self.loss:.3f}")

    def _count(self, rows: int, filled: int, keras_mean: float) -> None:
        """Take the batch's own loss out of Keras' mean so far, and count it by its own rows."""
        before = self._keras_total
        self._keras_counted += filled
        self._keras_total = keras_mean * self._keras_counted
        self._counted += rows
        self._total += (self._keras_total - before) * rows / filled
        same = self._counted == self._keras_counted
        self.loss = keras_mean if same else self._total / self._counted

    def end(self, train_loss: float, dev_scores: dict[str, float]) -> None:
        """Show the epoch's losses, and the CIDEr of a few photos of dev if it is known."""
        shown = f"loss {train_loss:.3f}, dev loss {dev_scores['dev_loss']:.3f}"
        if FEW_CIDER in dev_scores:
            shown += f", CIDEr of a few dev photos {dev_scores[FEW_CIDER]:.1f}"
        self._bar.set_postfix_str(shown)

    def __enter__(self) -> "EpochBar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
