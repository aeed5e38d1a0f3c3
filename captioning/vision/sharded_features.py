"""Features in shards, as `features.py --shards` leaves them: read without copying.

`_run.json`         what made them (the encoder's signature), views, and how many shards there are
`NAME_stats.json`   a shard is complete: how many rows its arrays have
`NAME.jsonl`        a line a photo: its key, and why it has no vector, or null
`NAME.vectors`      float32 (photos, D), one after the other, of the photos without an error
`NAME.grids`        optional: float16 (photos, views, regions, D)
"""

import json
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from captioning.errors import CaptioningError, command_line
from captioning.files.text import read_json
from captioning.vision.encoders import grid_shape

RUN = "_run.json"

VECTORS, GRIDS = "vectors", "grids"
"""The endings of the arrays' files."""


_MAPPED_AT_ONCE = 256
"""Each mapped file is an open one, of which a process may have a thousand."""


class ArrayFile(NamedTuple):
    """An array in a file: its numbers alone, row by row."""

    path: Path
    kind: str
    shape: tuple[int, ...]

    def check(self) -> None:
        """Raise `CaptioningError` unless the file has as many bytes as the array."""
        expected = math.prod(self.shape) * np.dtype(self.kind).itemsize
        actual = self.path.stat().st_size if self.path.is_file() else 0
        if actual != expected:
            stats = f"{self.path.parent / self.path.stem}_stats.json"
            raise CaptioningError(
                f"{self.path} has {actual:,} bytes, not {expected:,} as its keys want; remove "
                f"{stats} and run {command_line('features')} --shards again"
            )


@lru_cache(_MAPPED_AT_ONCE)
def _mapped(file: ArrayFile) -> np.ndarray:
    """The array, mapped: pages are read when they are used."""
    return np.memmap(file.path, file.kind, "r", shape=file.shape)


class ShardedArray:
    """Arrays of several files as one, (rows, …); rows are read when they are used.

    It is read as NumPy's are: by a row, by several in an array of any shape, or by a slice.
    """

    def __init__(self, files: list[ArrayFile]) -> None:
        self._files = files
        self._starts = np.cumsum([0, *(file.shape[0] for file in files)])
        self.shape = (int(self._starts[-1]), *files[0].shape[1:])
        self.dtype = np.dtype(files[0].kind)
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        wanted = np.asarray(np.arange(len(self))[rows])  # checked, and counted from the start
        flat = wanted.reshape(-1)
        found = np.empty((len(flat), *self.shape[1:]), self.dtype)
        owners = np.searchsorted(self._starts, flat, side="right") - 1
        for owner in np.unique(owners):
            own = owners == owner
            found[own] = _mapped(self._files[owner])[flat[own] - self._starts[owner]]
        return found.reshape(*wanted.shape, *self.shape[1:])


class ShardedVectors(Mapping[str, np.ndarray]):
    """The vectors of several files by their photos' names, float32 (1, D) each."""

    def __init__(self, names: dict[str, int], vectors: ShardedArray) -> None:
        self._rows, self._vectors = names, vectors

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __getitem__(self, name: str) -> np.ndarray:
        return self._vectors[[self._rows[name]]]

    def rows(self, names: list[str]) -> tuple[ShardedArray, np.ndarray]:
        """All vectors, (rows, D), and the rows of some photos, int (photos,)."""
        return self._vectors, np.array([self._rows[name] for name in names])

    def matrix(self, names: list[str]) -> np.ndarray:
        """The vectors of some photos, (photos, D), read once."""
        return self._vectors[[self._rows[name] for name in names]]


def is_sharded(folder: Path) -> bool:
    """Whether the features of a folder are in shards."""
    return (folder / RUN).is_file() and not (folder / "features.p").exists()


def read_shards(folder: Path) -> dict[str, Any]:
    """Vectors, made_by, failed, grids and rows, as `Features` has them; nothing is copied.

    Raises `CaptioningError` where shards are missing, or a file doesn't fit the others.
    """
    about = read_json(folder / RUN, "the description of the shards")
    try:
        made_by, views = about["settings"]["model"], about["settings"]["views"]
        names = about["shards"]
        regions, size = grid_shape(made_by)
        width = made_by["vector_size"]
    except (TypeError, KeyError):
        raise CaptioningError(f"{folder / RUN} describes no vectors") from None
    missing = [name for name in names if not (folder / f"{name}_stats.json").is_file()]
    if missing:
        raise CaptioningError(
            f"{len(missing):,} of {len(names):,} shards in {folder} are missing, {missing[0]} "
            f"among them; run {command_line('features')} --shards again"
        )
    failed: dict[str, str] = {}
    places: dict[str, int] = {}  # of each photo with a vector, its row
    vectors, grids = [], []
    for name in names:
        before = len(places)
        for key, error in _keys(folder / f"{name}.jsonl"):
            own = key if key not in places else f"{name}/{key}"
            if error is None:
                places[own] = len(places)
            else:
                failed[own] = error
        good = len(places) - before
        if good:  # an empty file can't be mapped
            vectors.append(ArrayFile(folder / f"{name}.{VECTORS}", "<f4", (good, width)))
            shape = (good * views, regions, size)
            grids.append(ArrayFile(folder / f"{name}.{GRIDS}", "<f2", shape))
    if not vectors:
        raise CaptioningError(f"none of the photos of {folder} could be read")
    for file in [*vectors, *(grids if views else [])]:
        file.check()
    steps = range(views)
    return {
        "vectors": ShardedVectors(places, ShardedArray(vectors)),
        "made_by": made_by,
        "failed": failed,
        "grids": ShardedArray(grids) if views else None,
        "rows": {key: [row * views + i for i in steps] for key, row in places.items() if views},
    }


def _keys(path: Path) -> Iterator[tuple[str, str | None]]:
    """The keys of a shard with their errors."""
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                yield str(row["key"]), row["error"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CaptioningError(f"cannot read the keys in {path}: {error}") from None
