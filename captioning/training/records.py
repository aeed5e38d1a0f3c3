"""What is noted of each epoch, beside its checkpoint: history, film, curves, TensorBoard."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras

from captioning.data.prepared import Prepared
from captioning.pictures.curves import FEW_CIDER, draw_curves
from captioning.pictures.figures import save_figure
from captioning.training.checkpoint import Progress
from captioning.training.event_log import EventLog
from captioning.training.few_photos import FewPhotos
from captioning.training.film import Film
from captioning.training.history import write_history

SECONDS_BETWEEN_FIGURES = 30
"""The curves are redrawn during the training, but not after each epoch of a second or two."""


@dataclass(frozen=True)
class Watch:
    """Who watches a training.

    log_folder: of TensorBoard, if it is wanted; after_epoch: called after each epoch, to show it.
    """

    log_folder: Path | None = None
    after_epoch: Callable[[Progress], None] | None = None


NOBODY = Watch()


class EpochRecords:
    """Writes history and film after each epoch, and the curves now and then.

    output: the model's folder; resume: whether its film goes on; before: the epochs of the model
    that the training started from; watch: who is told, too.
    """

    def __init__(
        self,
        prepared: Prepared,
        output: Path,
        resume: bool = False,
        before: list[dict[str, float]] | None = None,
        watch: Watch = NOBODY,
    ) -> None:
        self._few, self._film = FewPhotos(prepared), Film(output, resume)
        self._output, self._before, self._watch = output, before or [], watch
        self._log = EventLog(watch.log_folder) if watch.log_folder else None
        self._captions: dict[str, tuple[int, ...]] = {}  # of the epoch that isn't written yet
        self._drawn_at = time.monotonic()

    def score(self, model: keras.Model) -> dict[str, float]:
        """What the row of an epoch has beside its losses: the CIDEr of a few photos of dev."""
        self._captions = self._few.captions(model)
        return {FEW_CIDER: round(self._few.cider(self._captions), 2)}

    def write(self, progress: Progress, model: keras.Model) -> None:
        """Record an epoch. model: as it is after it."""
        write_history(self._output, progress.history)
        captions = self._captions or self._few.captions(model)
        self._captions = {}
        self._film.add(self._few.film(captions), progress.epoch)
        if self._log:
            self._log.add(progress.history[-1], model)
        if time.monotonic() - self._drawn_at > SECONDS_BETWEEN_FIGURES:
            self.draw(progress)
        if self._watch.after_epoch:
            self._watch.after_epoch(progress)

    def draw(self, progress: Progress) -> None:
        """Draw the curves anew."""
        save_figure(draw_curves(progress.history, self._before), self._output / "curves.png")
        self._drawn_at = time.monotonic()
