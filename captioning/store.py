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

import hashlib
import json
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from captioning.errors import CaptioningError
from captioning.files import read_json, write_json
from captioning.pickles import read_pickle, write_pickle

Stamp = list[int | str]
"""A photo's bytes, time of change in nanoseconds, and SHA-256; another one is another photo."""


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
    about = _checked(read_json(folder / "features.json", "the description of the vectors"), folder)
    vectors = read_pickle(folder / "features.p", "the vectors")
    size = about["made_by"]["vector_size"]
    if not (
        isinstance(vectors, dict)
        and all(isinstance(name, str) for name in vectors)
        and all(_is_vector(vector, size) for vector in vectors.values())
        and about["digest"] == _digest(folder / "features.p")
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


def _checked(about: Any, folder: Path) -> dict[str, Any]:
    """`features.json`, if it is what this module writes; a `CaptioningError` names what isn't."""
    right = {
        "made_by": lambda v: isinstance(v, dict)
        and all(_is_count(v.get(key)) and v[key] > 0 for key in ("vector_size", "grid_side")),
        "digest": lambda v: isinstance(v, str),
        "failed": lambda v: isinstance(v, dict) and all(isinstance(x, str) for x in v.values()),
        "stamps": lambda v: isinstance(v, dict) and all(isinstance(x, list) for x in v.values()),
        "grids": lambda v: v is None or isinstance(v, str) and Path(v).name != "",
        "rows": lambda v: isinstance(v, dict) and all(
            isinstance(rows, list) and rows and all(map(_is_count, rows)) for rows in v.values()
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
        self.stamps: dict[str, Stamp] = {}
        self.failed: dict[str, str] = {}
        self._failed_stamps: dict[str, Stamp] = {}
        self._rows: dict[str, list[int]] = {}
        try:
            self._open()
        except OSError as error:
            raise CaptioningError(f"cannot write to {folder}: {error.strerror}") from None

    def _open(self) -> None:
        self._end_renaming()
        self._take_finished()
        vectors, index = self._partial / "vectors.f32", self._partial / "index.jsonl"
        rows, length = self._take_partial(vectors, index)
        if length == 0:
            shutil.rmtree(self._partial, ignore_errors=True)
            self._partial.mkdir(parents=True)
            index.write_text(self._header + "\n", encoding="utf-8")
            length = index.stat().st_size
        self._vectors = vectors.open("ab")
        self._vectors.truncate(rows * self._size * 4)
        self._index = index.open("ab")
        self._index.truncate(length)
        self._grids = None
        if self._views:
            self._grids = self._grids_file.open("ab")
            self._next_row = 1 + max((max(rows) for rows in self._rows.values()), default=-1)
            self._grids.truncate(self._next_row * self._regions * self._size * 2)

    def _end_renaming(self) -> None:
        """A run that was killed between the two renames at its end: do the second."""
        new, vectors = self._partial / "features.json", self._folder / "features.p"
        try:
            fits = _checked(read_json(new, ""), self._partial)["digest"] == _digest(vectors)
        except (CaptioningError, OSError):
            return
        if fits:
            new.replace(self._folder / "features.json")

    def _take_finished(self) -> None:
        try:
            old = read_features(self._folder)
        except CaptioningError:
            return  # none, or damaged: everything is made anew
        whole = all(len(old.rows.get(name, ())) == self._views for name in old.vectors)
        if old.made_by == self._made_by and (whole or not self._views):
            self.done, self.stamps = old.vectors, old.stamps
            self._rows = old.rows if self._views else {}

    def _take_partial(self, vectors: Path, index: Path) -> tuple[int, int]:
        """Read back an unfinished run of the same signature: how many rows and bytes of it hold."""
        if not index.is_file() or not vectors.is_file():
            return 0, 0
        header, *lines = index.read_bytes().split(b"\n")
        if header != self._header.encode():
            return 0, 0
        matrix = np.fromfile(vectors, np.float32, vectors.stat().st_size // 4)
        matrix = matrix[: len(matrix) // self._size * self._size].reshape(-1, self._size)
        rows, length = 0, len(header) + 1
        for line in lines[:-1]:  # what follows the last line end was cut off
            try:
                batch = json.loads(line)
                names, stamps, failed = batch["names"], batch["stamps"], batch["failed"]
                end = (batch["row"] or 0) + len(names) * self._views
                if len(matrix) < rows + len(names) or self._rows_kept() < end:
                    break
            except (ValueError, TypeError, KeyError):
                break
            for i, (name, stamp) in enumerate(zip(names, stamps, strict=True)):
                self.done[name], self.stamps[name] = matrix[rows + i : rows + i + 1], stamp
                self.failed.pop(name, None)  # it has been mended since
                self._failed_stamps.pop(name, None)
                if batch["row"] is not None:
                    self._rows[name] = self._rows_of(batch["row"], i)
            for name, (stamp, reason) in failed.items():
                self.failed[name], self._failed_stamps[name] = reason, stamp
            rows, length = rows + len(names), length + len(line) + 1
        return rows, length

    def _rows_kept(self) -> int:
        """The whole rows of the grids' file; none where there is no such file, or none wanted."""
        file = self._grids_file
        size = file.stat().st_size if self._views and file.exists() else 0
        return size // (self._regions * self._size * 2)

    def _rows_of(self, first: int, place: int) -> list[int]:
        start = first + place * self._views
        return list(range(start, start + self._views))

    def is_done(self, name: str, path: Path) -> bool:
        """Whether that photo, as it is now, has its vector already, or has failed in this run.

        Size and time of change are looked at first; the content only where the time differs.
        """
        failed = self._failed_stamps.pop(name, None)
        if failed is not None:
            if stamp_of(path) == failed:
                return True
            del self.failed[name]
        old = self.stamps.get(name)
        if name not in self.done or not old:
            return False
        now = _size_and_time(path)
        if old[:2] == now:
            return True
        if old[0] != now[0] or len(old) < 3 or stamp_of(path)[2] != old[2]:
            return False
        self.stamps[name] = [*now, old[2]]  # touched or copied, but the same photo
        return True

    def add(
        self,
        names: list[str],
        stamps: list[Stamp],
        vectors: np.ndarray,
        grids: np.ndarray | None = None,
        failed: dict[str, tuple[Stamp, str]] | None = None,
    ) -> None:
        """Write down vectors (photos, D) and grids (photos, views, regions, D) of a batch at once.

        failed: {file name: (stamp, reason)} of photos that couldn't be read. Raises
        `CaptioningError` when the disk is full; what was kept before stays.
        """
        row = self._next_row if self._grids is not None else None
        failed = failed or {}
        entry = {"names": names, "stamps": stamps, "row": row, "failed": failed}
        try:
            self._append(self._vectors, np.ascontiguousarray(vectors, np.float32).tobytes())
            if self._grids is not None:
                self._append(self._grids, np.ascontiguousarray(grids, np.float16).tobytes())
            self._append(self._index, json.dumps(entry).encode() + b"\n")
        except OSError as error:
            raise CaptioningError(
                f"cannot write to {self._partial}: {error.strerror}; make room and run the same "
                "command again, it goes on where it stopped"
            ) from None
        for i, (name, stamp) in enumerate(zip(names, stamps, strict=True)):
            self.done[name], self.stamps[name] = vectors[i : i + 1], stamp
            if row is not None:
                self._rows[name] = self._rows_of(row, i)
        self.failed |= {name: reason for name, (_, reason) in failed.items()}
        if row is not None:
            self._next_row += len(names) * self._views

    @staticmethod
    def _append(file: BinaryIO, content: bytes) -> None:
        file.write(content)
        file.flush()

    def finish(self, names: list[str]) -> Features:
        """Write `features.p` and `features.json` for these photos and drop the partial files.

        Both are written aside first. Killed between the two renames, the next run does the
        second, and nothing has to be computed again.
        """
        self.close()
        wanted = set(names)
        kept = [name for name in names if name in self.done and name not in self.failed]
        features = Features(
            {name: np.array(self.done[name]) for name in kept},
            self._made_by,
            {name: reason for name, reason in self.failed.items() if name in wanted},
            {name: self.stamps[name] for name in kept},
            None,
            {name: self._rows[name] for name in kept if name in self._rows},
        )
        about = {
            "made_by": features.made_by,
            "photos": len(kept),
            "digest": "",
            "failed": features.failed,
            "grids": self._grids_file.name if self._views else None,
            "rows": features.rows,
            "stamps": features.stamps,
        }
        write_pickle(self._partial / "features.p", features.vectors)
        about["digest"] = _digest(self._partial / "features.p")
        write_json(self._partial / "features.json", about)
        try:
            for name in ("features.p", "features.json"):
                (self._partial / name).replace(self._folder / name)
        except OSError as error:
            raise CaptioningError(f"cannot write to {self._folder}: {error.strerror}") from None
        for file in self._folder.glob("grids-*.f16"):
            if file.name != about["grids"]:
                file.unlink()
        shutil.rmtree(self._partial, ignore_errors=True)
        return features

    def close(self) -> None:
        """Close the files; what was added stays for the next run."""
        for file in (self._vectors, self._index, self._grids):
            if file is not None:
                with suppress(OSError):  # a full disk, of which `add` has told
                    file.close()


def stamp_of(path: Path) -> Stamp:
    """A photo's stamp; zeros for one that can't be read."""
    before = _size_and_time(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for for ever
            return [*before, ""]
        return [*before, _digest(path)]
    except OSError:
        return [*before, ""]


def _size_and_time(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return [0, 0]
    return [status.st_size, status.st_mtime_ns]
