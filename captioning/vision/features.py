"""features.p and grids on disk: what made them, what failed, what is left to do.

`features.p`     pickle of {file name: float32 (1, D)}, as the seed project writes it
`features.json`  what made it (encoder, layer, size, filter, weights), a stamp (bytes, time of
                 change, SHA-256) for each photo, what failed and why, and its rows in the grids
`grids-*.f16`    optional: rows of float16 (regions, D), memory-mapped; the name is of what made
                 it, so that another encoder's run never touches it
`features.partial/`  a run under way: appended to, and read back when the run is started again.
                 `vectors.f32` rows of vectors; `index.jsonl` a line a batch, so that a batch is
                 there whole or not at all; at the end the two files that take the old ones' place
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from captioning.errors import CaptioningError
from captioning.files.pickles import read_pickle
from captioning.files.text import read_json
from captioning.vision.stamps import Stamp, digest_of_file


@dataclass
class Features:
    """The vectors of a folder of photos and what made them.

    vectors: {file name: float32 (1, D)}; made_by: the encoder's signature; failed: {file name:
    reason}; stamps: {file name: `Stamp`}; grids: float16
    (rows, regions, D) or None; rows: {file name: its rows in grids, one a view}.
    """

    vectors: dict[str, np.ndarray]
    made_by: dict[str, Any]
    failed: dict[str, str] = field(default_factory=dict)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    grids: np.ndarray | None = None
    rows: dict[str, list[int]] = field(default_factory=dict)

    @property
    def contents(self) -> dict[str, str]:
        """The SHA-256 of the photos' files, of those whose stamp has one."""
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
                "run features.py again"
            )
        return np.concatenate([self.vectors[name] for name in names])  # (photos, D)

    def grid_rows(self, names: list[str], views: int = 1) -> np.ndarray:
        """The rows of some photos in `grids`, int (photos, all views there are).

        Raises `CaptioningError` when there are no grids, or not of every photo, or fewer views.
        """
        kept = {len(self.rows.get(name, ())) for name in names} if self.grids is not None else {0}
        if min(kept) < views:
            raise CaptioningError(
                f"{views} {'views' if views > 1 else 'grid'} of each photo wanted, but only "
                f"{min(kept)} there; run features.py with --grids --views {views}, or ask for "
                f"fewer with --views"
            )
        return np.array([self.rows[name] for name in names])


def read_features(folder: Path) -> Features:
    """Read `features.p` and its JSON from the folder that features.py wrote.

    Raises `CaptioningError` when a part is missing, damaged, or doesn't fit the other.
    """
    folder = Path(folder)
    about = checked_description(
        read_json(folder / "features.json", "the description of the vectors"), folder
    )
    vectors = read_pickle(folder / "features.p", "the vectors")
    size = about["made_by"]["vector_size"]
    if not (
        isinstance(vectors, dict)
        and all(isinstance(name, str) for name in vectors)
        and all(_is_vector(vector, size) for vector in vectors.values())
        and about["digest"] == digest_of_file(folder / "features.p")
    ):
        raise CaptioningError(
            f"{folder / 'features.p'} holds something else than the float32 vectors of shape "
            f"(1, {size}) that features.json beside it tells of; run features.py again"
        )
    features = Features(
        vectors, about["made_by"], about["failed"], about["stamps"], None, about["rows"]
    )
    if about["grids"] is not None:
        features.grids = _map_grids(folder / Path(about["grids"]).name, features)
    return features


def _is_vector(value: Any, size: int) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.float32 and value.shape == (1, size)


def checked_description(about: Any, folder: Path) -> dict[str, Any]:
    """`features.json`, if it is what this module writes; a `CaptioningError` names what isn't."""
    right = {
        "made_by": lambda v: (
            isinstance(v, dict)
            and all(_is_count(v.get(key)) and v[key] > 0 for key in ("vector_size", "grid_side"))
        ),
        "digest": lambda v: isinstance(v, str),
        "failed": lambda v: isinstance(v, dict) and all(isinstance(x, str) for x in v.values()),
        "stamps": lambda v: isinstance(v, dict) and all(isinstance(x, list) for x in v.values()),
        "grids": lambda v: v is None or isinstance(v, str) and Path(v).name != "",
        "rows": lambda v: (
            isinstance(v, dict)
            and all(
                isinstance(rows, list) and rows and all(map(_is_count, rows)) for rows in v.values()
            )
        ),
    }
    for key, is_right in right.items():
        if not isinstance(about, dict) or key not in about or not is_right(about[key]):
            raise CaptioningError(
                f"{folder / 'features.json'} does not describe features.p: {key!r} is missing or "
                "no such thing; run features.py again"
            )
    return about


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 40


def _map_grids(path: Path, features: Features) -> np.ndarray:
    shape = (features.made_by["grid_side"] ** 2, features.made_by["vector_size"])
    if not path.is_file():
        raise CaptioningError(f"{path} is missing; run features.py --grids again")
    rows = path.stat().st_size // (2 * shape[0] * shape[1])
    if rows <= max((max(own) for own in features.rows.values()), default=-1) or rows == 0:
        raise CaptioningError(f"{path} is cut off after {rows} rows; run features.py --grids again")
    return np.memmap(path, np.float16, "r", shape=(rows, *shape))
