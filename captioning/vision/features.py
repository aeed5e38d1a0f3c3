"""Finished features on disk, as `features.py` leaves them: what they hold, and reading them.

`features.p`     pickle of {file name: float32 (1, D)}, as the seed project writes it
`features.json`  what made it (encoder, layer, size, filter, weights), a stamp (bytes, time of
                 change, SHA-256) for each photo, what failed and why, and its rows in the grids
`grids-*.f16`    optional: rows of float16 (regions, D), memory-mapped; the name is a digest of
                 the encoder's signature

`feature_writer` writes them. Until a run is finished its batches are in `features.partial`, of
which `extraction_log` knows. `sharded_features` tells of features in shards.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from captioning.errors import CaptioningError, command_line
from captioning.files.folders import check_folder, check_parts
from captioning.files.pickles import read_pickle
from captioning.files.text import read_json
from captioning.vision.encoders import grid_shape
from captioning.vision.sharded_features import ShardedVectors, is_sharded, read_shards
from captioning.vision.stamps import Stamp, digest_of_file

PARTS = ("features.json", "features.p")
"""The files without which there are no vectors, unless they are in shards."""


@dataclass
class Features:
    """The vectors of a folder of photos and what made them.

    vectors: {file name: float32 (1, D)}; made_by: the encoder's signature; failed: {file name:
    reason}; stamps: {file name: `Stamp`}; grids: float16 (rows, regions, D) or None, or a
    `ShardedArray`, read alike; rows: {file
    name: its rows in grids, one a view}.
    """

    vectors: Mapping[str, np.ndarray]
    made_by: dict[str, Any]
    failed: dict[str, str] = field(default_factory=dict)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    grids: np.ndarray | None = None
    rows: dict[str, list[int]] = field(default_factory=dict)

    @property
    def contents(self) -> dict[str, str]:
        """{file name: SHA-256 of the file}, of the photos whose stamp has one."""
        return {
            name: stamp[2]
            for name, stamp in self.stamps.items()
            if len(stamp) == 3 and isinstance(stamp[2], str) and stamp[2]
        }

    def matrix(self, names: list[str]) -> np.ndarray:
        """The vectors of some photos, float32 (photos, D).

        Raises `CaptioningError` naming a photo that has none.
        """
        missing = [name for name in names if name not in self.vectors]
        if missing:
            raise CaptioningError(
                f"features.p has no vector for {len(missing)} photos, {missing[0]} among them; "
                f"run {command_line('features')} again"
            )
        if isinstance(self.vectors, ShardedVectors):
            return self.vectors.matrix(names)  # (photos, D)
        return np.concatenate([self.vectors[name] for name in names])  # (photos, D)

    def vector_rows(self, names: list[str]) -> tuple[Any, np.ndarray]:
        """Vectors, (rows, D), and the row of each of some photos, int (photos,).

        Of features in shards nothing is read. Raises `CaptioningError` as `matrix`.
        """
        if isinstance(self.vectors, ShardedVectors) and all(name in self.vectors for name in names):
            return self.vectors.rows(names)
        return self.matrix(names), np.arange(len(names))

    def grid_rows(self, names: list[str], views: int = 1) -> np.ndarray:
        """The rows of some photos in `grids`, int (photos, all views there are).

        Raises `CaptioningError` when there are no grids, or not of every photo, or fewer views.
        """
        kept = {len(self.rows.get(name, ())) for name in names} if self.grids is not None else {0}
        if min(kept) < views:
            raise CaptioningError(_too_few(min(kept), views))
        return np.array([self.rows[name] for name in names])  # (photos, views)


def _too_few(kept: int, views: int) -> str:
    """What to do when only `kept` grids of each photo are there, and `views` are wanted."""
    features = command_line("features")
    if views == 1:
        what = "the vectors have no grids, which this decoder reads"
        return f"{what}; make them with: {features} --grids"
    again = f"{features} --grids --views {views}"
    fewer = f"; or ask for fewer: {command_line('evaluate')} --views {kept}" if kept else ""
    return (
        f"{views} views of each photo wanted, but only {kept} there; make them with: {again}{fewer}"
    )


def read_features(folder: Path) -> Features:
    """Read `features.p`, `features.json` and, memory-mapped, the grids of a folder.

    Raises `CaptioningError` when a part is missing, damaged, or does not fit the others.
    """
    folder = Path(folder)
    check_folder(folder, "the folder of vectors", f"make it with: {command_line('features')}")
    if is_sharded(folder):
        return Features(**read_shards(folder))
    check_parts(folder, PARTS, "features")
    description = checked_description(
        read_json(folder / "features.json", "the description of the vectors"), folder
    )
    vectors = read_pickle(folder / "features.p", "the vectors")
    size = description["made_by"]["vector_size"]
    # The digest tells vectors of another run from those described, which may have the same shape.
    if not (
        isinstance(vectors, dict)
        and all(isinstance(name, str) for name in vectors)
        and all(_is_vector(vector, size) for vector in vectors.values())
        and description["digest"] == digest_of_file(folder / "features.p")
    ):
        raise CaptioningError(
            f"{folder / 'features.p'} does not hold the float32 vectors of shape (1, {size}) that "
            f"features.json beside it describes; run {command_line('features')} again"
        )
    features = Features(
        vectors,
        description["made_by"],
        description["failed"],
        description["stamps"],
        None,
        description["rows"],
    )
    if description["grids"] is not None:
        # Only the last part of the name: a description from a stranger must not reach elsewhere.
        features.grids = _map_grids(folder / Path(description["grids"]).name, features)
    return features


def _is_vector(value: Any, size: int) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.float32 and value.shape == (1, size)


def checked_description(description: Any, folder: Path) -> dict[str, Any]:
    """The content of `features.json`, if every part is of the kind that `FeatureWriter` writes.

    folder: of the file, for the message. Raises `CaptioningError` naming the part that is wrong.
    """
    for key, is_valid in _VALID_PARTS.items():
        if (
            not isinstance(description, dict)
            or key not in description
            or not is_valid(description[key])
        ):
            raise CaptioningError(
                f"{folder / 'features.json'} does not describe features.p: {key!r} is missing or "
                f"of the wrong kind; run {command_line('features')} again"
            )
    return description


def _is_count(value: Any) -> bool:
    # Not isinstance: True is an int. The bound keeps sizes computed from counts within 64 bits.
    return type(value) is int and 0 <= value < 1 << 40


def _is_made_by(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _is_count(value.get(key)) and value[key] > 0 for key in ("vector_size", "grid_side")
    )


def _is_rows(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(rows, list) and rows and all(map(_is_count, rows)) for rows in value.values()
    )


_VALID_PARTS: dict[str, Callable[[Any], bool]] = {
    "made_by": _is_made_by,
    "digest": lambda value: isinstance(value, str),
    "failed": lambda value: (
        isinstance(value, dict) and all(isinstance(reason, str) for reason in value.values())
    ),
    "stamps": lambda value: (
        isinstance(value, dict) and all(isinstance(stamp, list) for stamp in value.values())
    ),
    "grids": lambda value: value is None or (isinstance(value, str) and Path(value).name != ""),
    "rows": _is_rows,
}
"""Of each part of `features.json`, whether a value can be it."""


def _map_grids(path: Path, features: Features) -> np.ndarray:
    """The file of grids as float16 (rows, regions, D); pages are read when they are used.

    Raises `CaptioningError` when the file is missing, or ends before the last row of a photo.
    """
    regions, size = grid_shape(features.made_by)
    again = f"run {command_line('features')} --grids again"
    if not path.is_file():
        raise CaptioningError(f"{path} is missing; {again}")
    rows = path.stat().st_size // (2 * regions * size)  # float16: 2 bytes a number
    if rows <= max((max(own) for own in features.rows.values()), default=-1) or rows == 0:
        raise CaptioningError(f"{path} is cut off after {rows} rows; {again}")
    return np.memmap(path, np.float16, "r", shape=(rows, regions, size))
