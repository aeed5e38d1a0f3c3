"""Files of arrays (`.npz`): numbers alone, read without trusting what the file claims."""

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from captioning.files.whole import written_whole


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], compressed: bool = True) -> None:
    """Write the arrays as a `.npz`; raises as `written_whole`.

    compressed: trained weights shrink by a tenth and take ten times as long to read, so they are
    better left as they are. The same numbers give the same bytes.
    """
    # Row by row, as they are read.
    in_rows = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    with written_whole(Path(path)) as beside:
        (np.savez_compressed if compressed else np.savez)(beside, **in_rows)  # type: ignore[arg-type]


def read_arrays(path: Path, types: Mapping[str, type], largest: int) -> dict[str, np.ndarray]:
    """The arrays of a `.npz` that holds just these, by name.

    types: of each array; largest: a file, or an array in it, of more bytes is refused before it is
    read. Raises ValueError, and zip's and NumPy's own errors, for anything else.
    """
    if path.stat().st_size > largest:
        raise ValueError(f"it has more than {largest:,} bytes")
    with zipfile.ZipFile(path) as archive:
        _check_members(archive.infolist(), types, largest)
        return {
            name: _array(archive.read(f"{name}.npy"), name, kind) for name, kind in types.items()
        }


def check_shapes(
    arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], why: str
) -> None:
    """Raise ValueError for an array of another shape, or with a number that isn't finite.

    why: what the shapes follow from, for the message.
    """
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} in it has the shape {arrays[name].shape}, not {shape}: {why}")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} in it is not finite")


def _check_members(members: list[zipfile.ZipInfo], types: Mapping[str, type], largest: int) -> None:
    """Raise ValueError unless the zip holds the arrays once, none of them too large."""
    names = [member.filename for member in members]
    if sorted(names) != sorted(f"{name}.npy" for name in types):
        raise ValueError(f"it holds {names[:5]}, not the arrays {', '.join(types)}")
    for member in members:
        # Of a zip bomb no more than this is unpacked: `read` stops there.
        if member.file_size > largest:
            raise ValueError(f"{member.filename} in it has {member.file_size:,} bytes")


def _array(raw: bytes, name: str, kind: type) -> np.ndarray:
    """The array of a .npy file's bytes, read without NumPy's loader.

    That allocates whatever the header claims. Here type and size are compared with the bytes that
    are there, so a pickled object is refused as well. Raises ValueError.
    """
    stream = io.BytesIO(raw)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError(f"{name} in it is no array of NumPy's format 1.0")
    shape, by_columns, type_ = np.lib.format.read_array_header_1_0(stream)
    content = raw[stream.tell() :]
    if type_ != np.dtype(kind) or by_columns:
        raise ValueError(f"{name} in it has the type {str(type_)[:50]}, not {np.dtype(kind)}")
    if math.prod(shape) * type_.itemsize != len(content) or min(shape, default=0) < 1:
        raise ValueError(f"{name} in it has the shape {shape} and {len(content):,} bytes")
    return np.frombuffer(content, type_).reshape(shape)
