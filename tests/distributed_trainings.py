"""Three small trainings in one of several processes: `python -m tests.distributed_trainings`.

Arguments: data, output, address, number of processes, process. With one process nothing is
distributed: that is the plain training, and it comes first, as the others fine-tune its model.
"""

import dataclasses
import sys
from pathlib import Path

from captioning.backend import import_keras
from captioning.training.distribution import Place, distribute, join, leave
from captioning.training.settings import FINETUNING, SETTINGS


def begin() -> None:
    """Forget what the training before left in Keras: process 0 alone has saved and loaded."""
    import keras

    keras.utils.clear_session()
    distribute()


def main(data: str, output: str, address: str, processes: str, process: str) -> None:
    """Train merge and transformer, then fine-tune merge, each into a folder of its own."""
    if processes != "1":
        join(Place(address, int(processes), int(process)))
    import_keras()
    from captioning.data.prepared import read_prepared
    from captioning.inference.trained_model import load_trained_model
    from captioning.training.run import train_model
    from captioning.training.starting_point import StartingPoint

    prepared, folder = read_prepared(Path(data)), Path(output)
    few = {"epochs": 2, "seed": 5, "batch_size": 7}
    for decoder in ("merge", "transformer"):
        begin()
        settings = dataclasses.replace(SETTINGS[decoder], width=12, learning_rate=3e-3, **few)
        train_model(prepared, settings, folder / decoder)
    rewarded = dataclasses.replace(
        FINETUNING["merge"], learning_rate=1e-3, samples=3, longest=6, photos_at_once=7, **few
    )
    begin()
    # The same for all: a model is kept in half precision, where a last digit may be another.
    initial = load_trained_model(folder.parent / "1" / "merge")
    train_model(prepared, rewarded, folder / "finetuned", False, StartingPoint(initial))
    if processes != "1":
        leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
