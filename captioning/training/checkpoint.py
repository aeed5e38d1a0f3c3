"""The checkpoint after each epoch, from which an interrupted training is resumed."""

import hashlib
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras

from captioning.data.prepared import Prepared
from captioning.errors import CaptioningError
from captioning.files.keras_files import check_keras_file
from captioning.files.text import read_json, write_json
from captioning.files.whole import written_whole
from captioning.training.distribution import alone, check_same, folder_of_first, is_first_process


class NotFiniteError(CaptioningError):
    """The loss is NaN or infinite."""


@dataclass
class Progress:
    """Where a training stands after its last complete epoch; its fields are `progress.json`'s.

    learning_rate: the next epoch's, of the plateau schedule; best: the highest score on dev;
    waited: epochs since then; fault: why the training ended too early, or "".
    """

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
        """Whether the training has reached its last epoch or stopped early."""
        return self.epoch >= self.settings["epochs"] or self.waited >= self.settings["patience"]

    def record(self, row: dict[str, float], score: float) -> bool:
        """Add an epoch and its score on dev, higher is better; True if it is the best so far."""
        self.history.append(row)
        is_best = score > self.best
        if is_best:
            self.best, self.best_epoch, self.waited = score, self.epoch, 0
        else:
            self.waited += 1
        return is_best


ADDED = {"critic_reward": 0.0}
"""Settings that older checkpoints lack, with the values that say what was done before them."""

_FIELD_TYPES: dict[str, Any] = {
    "settings": dict,
    "data": dict,
    "epoch": int,
    "learning_rate": int | float,
    "best": int | float,
    "best_epoch": int,
    "waited": int,
    "history": list,
    "fault": str,
}
"""What `Progress` has in `progress.json`; JSON writes 1.0 as it likes, so floats may be int."""


class Checkpoint:
    """The last epoch's model with its optimizer, the best model, and the progress, in one folder.

    Fine-tuning has two models an epoch: the one that is trained and the mean of the weights so
    far, which is the one that is scored and kept.

    Of several processes the first one writes; what it reads, the others are sent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _model_file(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch:03d}.keras"

    def _mean_file(self, epoch: int) -> Path:
        return self._folder / f"mean-{epoch:03d}.keras"

    def exists(self) -> bool:
        """Whether there is anything to resume."""
        return (self._folder / "progress.json").is_file()

    def write(
        self, model: keras.Model, progress: Progress, mean: keras.Model | None = None
    ) -> None:
        """Keep this epoch. mean: the model with the mean of the epochs' weights, of fine-tuning.

        The order makes it safe to stop anywhere: first the models, under names that no earlier
        epoch has; then `progress.json`, renamed into place, which names them; last, the models
        that it no longer names are removed. So it never names a file that is missing or cut off.
        """
        if not is_first_process():
            return
        files = (self._model_file(progress.epoch), self._mean_file(progress.epoch))
        for file, saved in zip(files, (model, mean), strict=True):
            if saved is not None:
                # Alone: whatever Keras computes on the way, the other processes don't.
                with written_whole(file) as beside, alone():
                    saved.save(beside)
        write_json(self._folder / "progress.json", asdict(progress))
        epochs = (progress.epoch, progress.best_epoch)
        kept = {named(epoch) for named in (self._model_file, self._mean_file) for epoch in epochs}
        for file in set(self._folder.glob("*.keras")) - kept:
            file.unlink()

    def read(
        self, settings: Any, data: dict[str, Any]
    ) -> tuple[Progress, keras.Model, keras.Model | None]:
        """Progress and model of the last complete epoch, and the mean's model if there is one.

        settings: a dataclass; data: as `describe_data`. Raises `CaptioningError` when there is
        no checkpoint, or when it was started with other data or other settings; another number
        of epochs is fine with the plateau schedule, another number of processes always.
        """
        with folder_of_first(self._folder) as folder:
            return Checkpoint(folder)._read(settings, data)

    def _read(
        self, settings: Any, data: dict[str, Any]
    ) -> tuple[Progress, keras.Model, keras.Model | None]:
        if not self.exists():
            raise CaptioningError(f"nothing to resume in {self._folder}; leave out --resume")
        wanted = asdict(settings)
        progress = self._read_progress(set(wanted), set(data))
        # The cosine's learning rates depend on the last epoch: the epochs before would have been
        # trained with others.
        if wanted.get("schedule") != "cosine":
            progress.settings["epochs"] = wanted["epochs"]
        for what, before, now in (
            *((f"--{k.replace('_', '-')}", progress.settings[k], wanted[k]) for k in wanted),
            *((f"the data's {k}", progress.data[k], data[k]) for k in data),
        ):
            if before != now:
                raise CaptioningError(
                    f"{what} is {now}, but the training in {self._folder} was started with {before}"
                )
        model, mean = _load_model(self._model_file(progress.epoch)), None
        if self._mean_file(progress.epoch).exists():
            with alone():
                mean = _load_model(self._mean_file(progress.epoch))
        return progress, model, mean

    def _read_progress(self, settings: set[str], data: set[str]) -> Progress:
        """`progress.json`, if it holds what `read` relies on; a `CaptioningError` otherwise."""
        file = self._folder / "progress.json"
        stored = read_json(file, "the checkpoint")
        if not (
            isinstance(stored, dict)
            and stored.keys() == _FIELD_TYPES.keys()
            and all(isinstance(stored[key], kind) for key, kind in _FIELD_TYPES.items())
            and stored["settings"].keys() | (ADDED.keys() & settings) == settings
            and stored["data"].keys() == data
            and 1 <= stored["best_epoch"] <= stored["epoch"] == len(stored["history"])
        ):
            raise CaptioningError(
                f"{file} holds no training that this command could resume; leave out "
                "--resume and add --overwrite to start again"
            )
        stored["settings"] = {k: v for k, v in ADDED.items() if k in settings} | stored["settings"]
        return Progress(**stored)

    def remove(self) -> None:
        """Delete the checkpoint, `progress.json` first: without it, the models are ignored."""
        if not is_first_process():
            return
        (self._folder / "progress.json").unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def best_model(self, progress: Progress) -> keras.Model:
        """The model of the best epoch on dev: the one with the mean weights, if there is one.

        It is loaded for this process alone, the first one.
        """
        mean = self._mean_file(progress.best_epoch)
        with alone():
            return _load_model(mean if mean.exists() else self._model_file(progress.best_epoch))


def describe_data(prepared: Prepared) -> dict[str, Any]:
    """What a model is trained on, in brief; a resumed training must have the same."""
    return {
        "photos": {split: len(names) for split, names in prepared.splits.items()},
        "words": prepared.tokenizer.size,
        "encoder": prepared.features.made_by,
    }


def check_same_everywhere(settings: Any, data: dict[str, Any], prepared: Prepared) -> None:
    """Raise `CaptioningError` when another process has other settings or other data."""
    names = "\n".join(
        f"{name}\t{len(prepared.captions[name])}" for name in prepared.splits["train"]
    )
    contents = hashlib.sha256(names.encode()).hexdigest()[:12]
    check_same({**asdict(settings), **data, "list of training photos": contents})


def _load_model(file: Path) -> keras.Model:
    check_keras_file(file)
    try:
        return keras.models.load_model(file)
    except (ValueError, OSError) as error:
        raise CaptioningError(f"cannot read the checkpoint {file}: {error}") from None
