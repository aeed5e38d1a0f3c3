"""Where a run stands after each epoch, so that it can go on after a stop."""

import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras

from captioning.errors import CaptioningError
from captioning.files.keras_files import check_keras_file
from captioning.files.text import read_json, write_json
from captioning.files.whole import written_whole


class NotFiniteError(CaptioningError):
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
        """Add an epoch and how good its model is, higher is better; say whether it is the best."""
        self.history.append(row)
        better = goodness > self.best
        if better:
            self.best, self.best_epoch, self.waited = goodness, self.epoch, 0
        else:
            self.waited += 1
        return better


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
        return load_checkpoint_model(self._mean(progress.epoch))

    def read(self, settings: Any, data: dict[str, Any]) -> tuple[Progress, keras.Model]:
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
        return progress, load_checkpoint_model(self._file(progress.epoch))

    def _read_progress(self, settings: set[str], data: set[str]) -> Progress:
        file = self._folder / "progress.json"
        told = read_json(file, "the checkpoint")
        kinds = {
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
        return load_checkpoint_model(mean if mean.exists() else self._file(progress.best_epoch))


def load_checkpoint_model(file: Path) -> keras.Model:
    check_keras_file(file)
    try:
        return keras.models.load_model(file)
    except (ValueError, OSError) as error:
        raise CaptioningError(f"cannot read the checkpoint {file}: {error}") from None
