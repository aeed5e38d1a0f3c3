"""Writing vectors and grids as they come, and going on after a stop."""

import hashlib
import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from captioning.errors import CaptioningError
from captioning.files.pickles import write_pickle
from captioning.files.text import read_json, write_json
from captioning.vision.features import Features, checked_description, read_features
from captioning.vision.stamps import Stamp, digest_of_file, size_and_time, stamp_of


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
            fits = checked_description(read_json(new, ""), self._partial)[
                "digest"
            ] == digest_of_file(vectors)
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
        now = size_and_time(path)
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
        about["digest"] = digest_of_file(self._partial / "features.p")
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
