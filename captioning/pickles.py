"""Pickles read with a restricted unpickler: arrays and built-in containers, nothing else runs."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from captioning.errors import CaptioningError
from captioning.files import written_whole


def _latin1(text: str, encoding: str) -> bytes:
    """What protocols before 3 turn an array's bytes back with, for that encoding alone."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it wants the encoding {encoding!r}, which arrays never do")
    return text.encode("latin1")


_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
    **{(module, "_reconstruct"): np.zeros(0).__reduce__()[0] for module in _MULTIARRAY},
    **{(module, "scalar"): np.float32(0).__reduce__()[0] for module in _MULTIARRAY},
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Give only what arrays are made of; everything else would be code from the file."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it wants to run {module}.{name}, which plain data never does"
            ) from None


def read_pickle(path: Path, what: str) -> Any:
    """Give the arrays, dictionaries, lists and strings of a pickle; code in it is never run.

    Raises `CaptioningError` when the file is missing, damaged, or holds anything else.
    """
    try:
        with Path(path).open("rb") as file:
            return _ArrayUnpickler(file).load()
    except FileNotFoundError:
        raise CaptioningError(
            f"{what} {path} is missing; features.py writes it"
        ) from None
    except Exception as error:  # a damaged pickle raises all sorts
        raise CaptioningError(
            f"cannot read {what} {path}: {error}; make it again with features.py"
        ) from None


def write_pickle(path: Path, value: Any) -> None:
    """Pickle built-in containers and arrays, in a protocol that old readers know too."""
    with written_whole(path) as beside, beside.open("wb") as file:
        pickle.dump(value, file, protocol=4)
