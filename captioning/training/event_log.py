"""A training's losses and scores for TensorBoard, by Keras' own callback.

https://keras.io/api/callbacks/tensorboard
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from captioning.backend import import_tensorflow
from captioning.errors import CaptioningError

NEEDED = ("tensorflow", "tensorboard")
"""Keras' callback writes by TensorFlow, whatever backend computes, and that by TensorBoard."""

EVENTS = "events.out.tfevents.*"


def check_log_folder(folder: Path, add: bool, replace: bool) -> None:
    """Raise `CaptioningError` where nothing can be logged into the folder.

    add: whether a training goes on there that has written into it; replace: whether what another
    one has written there is deleted.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise CaptioningError(
            f"--log-dir wants {' and '.join(missing)}; pip install {' '.join(missing)}"
        )
    if folder.exists() and not folder.is_dir():
        raise CaptioningError(f"--log-dir {folder} is no folder; name another one")
    if old := [] if add else [*folder.glob(EVENTS), *folder.glob(f"*/{EVENTS}")]:
        if not replace:
            raise CaptioningError(
                f"--log-dir {folder} holds the log of another training; name another folder, or "
                "replace it with --overwrite"
            )
        for file in old:
            file.unlink()


class EventLog:
    """Writes the rows of `history.csv` into a folder, as TensorBoard reads them."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._has_graph = folder, False

    def add(self, row: dict[str, float], model: Any) -> None:
        """Add an epoch; TensorBoard shows what was measured on dev as "validation"."""
        import keras

        import_tensorflow()  # which the callback would do, on JAX with messages
        # A file for each epoch: when a training is killed, all of its epochs are there.
        callback = keras.callbacks.TensorBoard(self._folder, write_graph=not self._has_graph)
        callback.set_model(model)
        self._has_graph = True
        measured = {name: row[name] for name in row.keys() - {"epoch", "learning_rate"}}
        callback.on_epoch_end(
            int(row["epoch"]),
            {
                # Keras' names: both losses are then in one chart.
                f"val_{name.removeprefix('dev_')}" if "dev_" in name else name: value
                for name, value in measured.items()
            },
        )
        callback.on_train_end()
