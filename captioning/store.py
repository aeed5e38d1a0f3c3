"""features.p and grids on disk: what made them, what failed, what is left to do.

`features.p`     pickle of {file name: float32 (1, D)}, as the seed project writes it
`features.json`  what made it (encoder, layer, size, filter, weights), a stamp (bytes, time of
                 change) for each photo, what failed and why, and each photo's rows in the grids
`grids-*.f16`    optional: rows of float16 (regions, D), memory-mapped; the name is of what made
                 it, so that another encoder's run never touches it
`features.partial/`  a run under way: appended to, and read back when the run is started again
"""

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from captioning.errors import CaptioningError
from captioning.files import read_json, write_json
from captioning.pickles import read_pickle, write_pickle


@dataclass
class Features:
    """The vectors of a folder of photos and what made them.

    vectors: {file name: float32 (1, D)}; made_by: the encoder's signature; failed: {file name:
    reason}; stamps: {file name: [bytes, nanoseconds of change]}; grids: float16
    (rows, regions, D) or None; rows: {file name: its rows in grids, one a view}.
    """

    vectors: dict[str, np.ndarray]
    made_by: dict[str, Any]
    failed: dict[str, str] = field(default_factory=dict)
    stamps: dict[str, list[int]] = field(default_factory=dict)
    grids: np.ndarray | None = None
    rows: dict[str, list[int]] = field(default_factory=dict)

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
    about = read_json(folder / "features.json", "the description of the vectors")
    vectors = read_pickle(folder / "features.p", "the vectors")
    try:
        size = int(about["made_by"]["vector_size"])
        fitting = all(v.dtype == np.float32 and v.shape == (1, size) for v in vectors.values())
        features = Features(
            vectors, about["made_by"], about["failed"], about["stamps"], None, about["rows"]
        )
        grids = about["grids"]
        fitting = fitting and about["digest"] == _digest(folder / "features.p")
    except (KeyError, TypeError, AttributeError, ValueError):
        raise CaptioningError(f"{folder / 'features.json'} does not describe features.p") from None
    if not fitting:
        raise CaptioningError(
            f"{folder / 'features.p'} holds something else than the float32 vectors of shape "
            f"(1, {size}) that features.json beside it tells of; run features.py again"
        )
    if grids is not None:
        features.grids = _map_grids(folder / Path(str(grids)).name, features)
    return features


def _map_grids(path: Path, features: Features) -> np.ndarray:
    shape = (features.made_by["grid_side"] ** 2, features.made_by["vector_size"])
    if not path.is_file():
        raise CaptioningError(f"{path} is missing; run features.py --grids again")
    rows = path.stat().st_size // (2 * shape[0] * shape[1])
    if rows <= max((max(own) for own in features.rows.values()), default=-1):
        raise CaptioningError(f"{path} is cut off after {rows} rows; run features.py --grids again")
    return np.memmap(path, np.float16, "r", shape=(rows, *shape))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class FeatureWriter:
    """Collects vectors (and grids) on disk as they come; a killed run loses one batch at most.

    views: of how many views of a photo the grid is kept, 0 for vectors alone. What an earlier
    run with the same signature left, finished or not, counts as done as long as the photo's
    stamp is the same.
    """

    def __init__(self, folder: Path, signature: dict[str, Any], views: int = 0) -> None:
        self._folder = Path(folder)
        self._partial = self._folder / "features.partial"
        self._made_by, self._views = signature, views
        self._header = json.dumps({**signature, "views": views})
        self._grids_file = self._folder / (
            f"grids-{hashlib.sha256(self._header.encode()).hexdigest()[:8]}.f16"
        )
        self._size = signature["vector_size"]
        self._regions = signature["grid_side"] ** 2
        self.done: dict[str, np.ndarray] = {}
        self.stamps: dict[str, list[int]] = {}
        self.failed: dict[str, str] = {}
        self._rows: dict[str, list[int]] = {}
        try:
            self._open()
        except OSError as error:
            raise CaptioningError(f"cannot write to {folder}: {error.strerror}") from None

    def _open(self) -> None:
        self._take_finished()
        vectors, index = self._partial / "vectors.f32", self._partial / "index.jsonl"
        taken = self._take_partial(vectors, index)
        if taken == 0:
            shutil.rmtree(self._partial, ignore_errors=True)
            self._partial.mkdir(parents=True)
            index.write_text(self._header + "\n", encoding="utf-8")
        self._vectors = vectors.open("ab")
        self._vectors.truncate(taken * self._size * 4)
        self._index = index.open("a", encoding="utf-8")
        self._grids = None
        if self._views:
            self._grids = self._grids_file.open("ab")
            self._next_row = 1 + max((max(rows) for rows in self._rows.values()), default=-1)
            self._grids.truncate(self._next_row * self._regions * self._size * 2)

    def _take_finished(self) -> None:
        try:
            old = read_features(self._folder)
        except CaptioningError:
            return  # none, or damaged: everything is made anew
        whole = all(len(old.rows.get(name, ())) == self._views for name in old.vectors)
        if old.made_by == self._made_by and (whole or not self._views):
            self.done, self.stamps = old.vectors, old.stamps
            self._rows = old.rows if self._views else {}

    def _take_partial(self, vectors: Path, index: Path) -> int:
        """Read back an unfinished run of the same signature; give how many rows of it hold."""
        if not index.is_file() or not vectors.is_file():
            return 0
        header, *lines = index.read_text(encoding="utf-8").split("\n")
        if header != self._header:
            return 0
        rows = vectors.stat().st_size // (self._size * 4)
        matrix = np.fromfile(vectors, np.float32, rows * self._size).reshape(rows, self._size)
        kept = [header]
        for line in lines:
            try:
                name, row, stamp, grid_rows = json.loads(line)
                vector = matrix[row : row + 1]  # (1, D)
            except ValueError:
                break  # the line that the end of the run cut off
            if len(vector) == 0:
                break
            self.done[name], self.stamps[name] = vector, stamp
            if grid_rows is not None:
                self._rows[name] = grid_rows
            kept.append(line)
        index.write_text("\n".join(kept) + "\n", encoding="utf-8")
        return len(kept) - 1

    def is_done(self, name: str, stamp: list[int]) -> bool:
        """Whether that photo, as it is now, has its vector already."""
        return name in self.done and self.stamps.get(name) == stamp

    def add(
        self,
        names: list[str],
        stamps: list[list[int]],
        vectors: np.ndarray,
        grids: np.ndarray | None = None,
    ) -> None:
        """Write down vectors (photos, D) and grids (photos, views, regions, D) of a batch at once.

        Raises `CaptioningError` when the disk is full; what was kept before stays.
        """
        try:
            first = self._vectors.tell() // (self._size * 4)
            self._vectors.write(np.ascontiguousarray(vectors, np.float32).tobytes())
            self._vectors.flush()
            if self._grids is not None:
                self._grids.write(np.ascontiguousarray(grids, np.float16).tobytes())
                self._grids.flush()
            for i, (name, stamp) in enumerate(zip(names, stamps, strict=True)):
                self.done[name], self.stamps[name] = vectors[i : i + 1], stamp
                if self._grids is not None:
                    start = self._next_row + i * self._views
                    self._rows[name] = list(range(start, start + self._views))
                entry = [name, first + i, stamp, self._rows.get(name)]
                self._index.write(json.dumps(entry) + "\n")
            self._index.flush()
            if self._grids is not None:
                self._next_row += len(names) * self._views
        except OSError as error:
            raise CaptioningError(
                f"cannot write to {self._partial}: {error.strerror}; make room and run the same "
                "command again, it goes on where it stopped"
            ) from None

    def finish(self, names: list[str]) -> Features:
        """Write `features.p` and `features.json` for these photos and drop the partial files."""
        self.close()
        kept = [name for name in names if name in self.done and name not in self.failed]
        features = Features(
            {name: np.array(self.done[name]) for name in kept},
            self._made_by,
            self.failed,
            {name: self.stamps[name] for name in kept},
            None,
            {name: self._rows[name] for name in kept if name in self._rows},
        )
        write_pickle(self._folder / "features.p", features.vectors)
        about = {
            "made_by": features.made_by,
            "photos": len(kept),
            "digest": _digest(self._folder / "features.p"),
            "failed": features.failed,
            "grids": self._grids_file.name if self._views else None,
            "rows": features.rows,
            "stamps": features.stamps,
        }
        write_json(self._folder / "features.json", about)
        for file in self._folder.glob("grids-*.f16"):
            if file.name != about["grids"]:
                file.unlink()
        shutil.rmtree(self._partial, ignore_errors=True)
        return features

    def close(self) -> None:
        """Close the files; what was added stays for the next run."""
        for file in (self._vectors, self._index, self._grids):
            if file is not None:
                file.close()


def stamp_of(path: Path) -> list[int]:
    """A photo's bytes and time of change in nanoseconds; another stamp means another photo."""
    try:
        status = path.stat()
    except OSError:
        return [0, 0]
    return [status.st_size, status.st_mtime_ns]
