"""Small trainings in one of several processes: `python -m tests.distributed_trainings`.

Arguments: data, output, address, number of processes, process, names of trainings. With one process
nothing is distributed: that is the plain training.
"""

import dataclasses
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from captioning.backend import import_keras
from captioning.training.distribution import Place, distribute, join, leave
from captioning.training.settings import FINETUNING, SETTINGS, FinetuningSettings, TrainingSettings

STOPPED = "stopped"
"""A merge model's training that ends after its first epoch; a name that begins so goes on there."""

_FEW = {"epochs": 2, "seed": 5, "batch_size": 7}


def settings_of(name: str) -> TrainingSettings | FinetuningSettings:
    """Of merge, transformer, either with -cider behind it, and `STOPPED`."""
    decoder, _, rewarded = name.partition("-")
    if name.startswith(STOPPED):  # without dropout, whose draws are other ones on each backend
        return dataclasses.replace(settings_of("merge"), dropout=0.0)
    if rewarded:
        return dataclasses.replace(
            FINETUNING[decoder],
            **_FEW,
            learning_rate=1e-3,
            samples=3,
            longest=6,
            photos_at_once=7,
        )
    return dataclasses.replace(SETTINGS[decoder], width=12, learning_rate=3e-3, **_FEW)


def train(name: str, data: Path, folder: Path) -> None:
    """Do a training into `folder / name`; the model to fine-tune is that of one process."""
    import keras

    from captioning.data.prepared import read_prepared
    from captioning.inference.trained_model import load_trained_model
    from captioning.training.records import Watch
    from captioning.training.run import train_model
    from captioning.training.starting_point import NEW_MODEL, StartingPoint

    # Forget what the training before left in Keras: process 0 alone has saved and loaded.
    keras.utils.clear_session()
    distribute()
    start = NEW_MODEL
    if name.endswith("-cider"):
        # The same for all: a model is kept in half precision, where a last digit may be another.
        start = StartingPoint(load_trained_model(folder.parent / "1" / name.removesuffix("-cider")))

    def stop(_: Any) -> None:
        if name == STOPPED:
            raise InterruptedError

    resume = name.startswith(STOPPED) and name != STOPPED
    with suppress(InterruptedError):
        train_model(
            read_prepared(data),
            settings_of(name),
            folder / name,
            resume,
            start,
            Watch(after_epoch=stop),
        )


def main(data: str, output: str, address: str, processes: str, process: str, *names: str) -> None:
    """Do the trainings, one after the other."""
    if processes != "1":
        join(Place(address, int(processes), int(process)))
    import_keras()
    for name in names:
        train(name, Path(data), Path(output))
    if processes != "1":
        leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
