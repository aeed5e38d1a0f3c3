"""Weights saved by PyTorch before its version 1.6, read without PyTorch; nothing in them runs.

Such a file is a row of pickles: a magic number, a protocol number, a description of the system,
the state dict, and the list of its storages' keys. Then each storage follows as raw numbers behind
their count. In the state dict stand references to storages in place of numbers, which the
unpickler resolves through `persistent_load`.
https://github.com/pytorch/pytorch/blob/v1.5.0/torch/serialization.py
"""

import hashlib
import math
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from captioning.errors import CaptioningError

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"little_endian": True, "protocol_version": PROTOCOL}
LARGEST = 1 << 30
"""Files of more bytes are refused before they are read."""

KINDS: dict[str, np.dtype] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
"""The storages that are read: what PyTorch keeps of a trained network."""


class _Storage(NamedTuple):
    """A reference to numbers that follow later in the file."""

    kind: str
    key: str
    length: int


class _Tensor(NamedTuple):
    """A view of a storage: where it starts, its shape, and the step of each dimension."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _as_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    """What stands in place of `torch._utils._rebuild_tensor_v2`: it only checks and remembers."""
    numbers = [offset, *shape, *strides]
    if not isinstance(storage, _Storage) or len(shape) != len(strides):
        raise pickle.UnpicklingError("it holds a tensor that is none")
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise pickle.UnpicklingError("it holds a tensor of an impossible shape")
    if math.prod(shape) > max(1, storage.length):  # strides of 0 would make memory of nothing
        raise pickle.UnpicklingError("it holds a tensor of an impossible shape")
    # The last number that the view reaches must lie inside of the storage.
    last = offset + sum((side - 1) * step for side, step in zip(shape, strides, strict=True))
    if 0 not in shape and last >= storage.length:
        raise pickle.UnpicklingError("it holds a tensor that reaches beyond its numbers")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _StateDictUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Give only what state dicts are made of; everything else would be code from the file."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _as_tensor
        if module == "torch" and name in KINDS:
            return name
        raise pickle.UnpicklingError(f"it wants to run {module}.{name}, which weights never do")

    def persistent_load(self, reference: Any) -> _Storage:
        """The storage that a reference names: ("storage", kind, key, device, count, view)."""
        match reference:
            case ("storage", str(kind), str(key), str(), int(count), None) if kind in KINDS:
                return _Storage(kind, key, count)
        raise pickle.UnpicklingError(f"it refers to {str(reference)[:60]}, which is no storage")


def read_state_dict(path: Path, sha256: str) -> dict[str, np.ndarray]:
    """The arrays of a state dict by name, float32 or int64, each in its own shape.

    Raises `CaptioningError` when the file is missing, isn't the one with that SHA-256, or holds
    anything but a state dict.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise pickle.UnpicklingError(f"it has more than {LARGEST:,} bytes")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != sha256:
                raise pickle.UnpicklingError(
                    f"its SHA-256 is {found[:12]}…, not {sha256[:12]}…: it is damaged, or of "
                    "another version"
                )
            file.seek(0)
            return _read(file)
    except FileNotFoundError:
        raise CaptioningError(f"the weights {path} are missing") from None
    except Exception as error:  # a damaged pickle raises all sorts
        raise CaptioningError(f"cannot read the weights {path}: {error}") from None


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    magic, protocol, system = (_StateDictUnpickler(file).load() for _ in range(3))
    if magic != MAGIC or protocol != PROTOCOL or not SYSTEM.items() <= dict(system).items():
        raise pickle.UnpicklingError("it isn't of PyTorch's format before version 1.6")
    tensors = _StateDictUnpickler(file).load()
    keys = _StateDictUnpickler(file).load()
    is_dict = isinstance(tensors, dict) and isinstance(keys, list)
    if not is_dict or not all(isinstance(tensor, _Tensor) for tensor in tensors.values()):
        raise pickle.UnpicklingError("it holds no state dict")
    wanted = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    if sorted(keys) != sorted(wanted):
        raise pickle.UnpicklingError("its storages aren't those of its tensors")
    numbers = {key: _read_storage(file, wanted[key]) for key in keys}
    return {name: _view(tensor, numbers) for name, tensor in tensors.items()}


def _read_storage(file: BinaryIO, storage: _Storage) -> np.ndarray:
    """The numbers that come next in the file: (count,)."""
    (count,) = struct.unpack("<q", file.read(8))
    if count != storage.length:
        raise pickle.UnpicklingError(f"a storage has {count:,} numbers, not {storage.length:,}")
    kind = KINDS[storage.kind]
    content = file.read(count * kind.itemsize)
    if len(content) != count * kind.itemsize:
        raise pickle.UnpicklingError("it was cut off")
    return np.frombuffer(content, kind)


def _view(tensor: _Tensor, numbers: dict[str, np.ndarray]) -> np.ndarray:
    """A tensor as an array of its own; its strides needn't be those of rows side by side."""
    storage = numbers[tensor.storage.key][tensor.offset :]
    strides = [step * storage.itemsize for step in tensor.strides]
    # Safe: `_as_tensor` has checked that the last number lies inside.
    return np.lib.stride_tricks.as_strided(storage, tensor.shape, strides).copy()
