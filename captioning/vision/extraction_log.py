"""The log of an extraction under way: batches on disk as they come, read back after a stop.

`features.partial/vectors.f32`  float32 (photos, D), row after row
`features.partial/index.jsonl`  a header, then a line for each batch: its photos, their stamps,
                                its first row in the grids, the photos that could not be read
`grids-*.f16`                   float16 (rows, regions, D); it lies outside of `features.partial`
                                because finished features keep it, and new rows are appended

Why a killed run can be continued: files are only ever appended to, and always in the order
vectors, grids, index. The line in the index is the commit record of its batch. Whatever the
moment of the kill, a complete line means that the rows it names had been written before it, and
rows without a complete line are nobody's: they are truncated when the log is opened again.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from captioning.errors import CaptioningError
from captioning.vision.encoders import grid_shape
from captioning.vision.stamps import Stamp

PARTIAL_FOLDER = "features.partial"

FLOAT32_BYTES, FLOAT16_BYTES = 4, 2


@dataclass(frozen=True)
class LoggedBatch:
    """A batch of photos in the log.

    vectors: float32 (photos, D); rows: of each photo its rows in the file of grids, one a view,
    or [] without grids; both in the order of names and stamps. failed: {file name: (stamp,
    reason)} of the photos that could not be read since the batch before.
    """

    names: list[str]
    stamps: list[Stamp]
    vectors: np.ndarray
    rows: list[list[int]]
    failed: dict[str, tuple[Stamp, str]]


class ExtractionLog:
    """The append-only files of one extraction: `read` them to the end, `open` them, `append`.

    folder: the output of the extraction; signature: of the encoder, with `vector_size` and
    `grid_side`; views: of how many views of a photo the grid is kept, 0 for vectors alone. A log
    of another signature, or of other views, does not count and is replaced.
    """

    def __init__(self, folder: Path, signature: dict[str, Any], views: int) -> None:
        self.folder = folder / PARTIAL_FOLDER
        self._vectors_file = self.folder / "vectors.f32"
        self._index_file = self.folder / "index.jsonl"
        self._header = json.dumps({**signature, "views": views})
        # Named after the header: an extraction with another encoder never touches these grids,
        # which belong to the finished features until its own take their place.
        self.grids_file = folder / (
            f"grids-{hashlib.sha256(self._header.encode()).hexdigest()[:8]}.f16"
        )
        self._views = views
        self._size = signature["vector_size"]
        self._grid_bytes = math.prod(grid_shape(signature)) * FLOAT16_BYTES
        # How much of the two files `read` found valid; 0 bytes of index: there is no log.
        self._valid_vectors, self._valid_index_bytes = 0, 0
        self._next_row = 0
        self._open_files: list[BinaryIO] = []

    def read(self) -> Iterator[LoggedBatch]:
        """The valid batches of an interrupted run, oldest first; none without a fitting log.

        The first batch that is damaged, or whose vectors or grids are missing, ends the log.
        """
        if not self._index_file.is_file() or not self._vectors_file.is_file():
            return
        header, *lines = self._index_file.read_bytes().split(b"\n")
        if header != self._header.encode():
            return
        self._valid_index_bytes = len(header) + 1
        matrix = self._read_vectors()
        grid_rows = self._count_grid_rows()
        # After the last line end comes b"", or a line that a kill cut off.
        for line in lines[:-1]:
            batch = _batch_of(line, matrix[self._valid_vectors :], self._views)
            if batch is None or (batch.rows and batch.rows[-1][-1] >= grid_rows):
                return
            self._valid_vectors += len(batch.names)
            self._valid_index_bytes += len(line) + 1
            yield batch

    def _read_vectors(self) -> np.ndarray:
        """The complete rows of the file of vectors, float32 (rows, D)."""
        values = np.fromfile(
            self._vectors_file, np.float32, self._vectors_file.stat().st_size // FLOAT32_BYTES
        )
        return values[: len(values) // self._size * self._size].reshape(-1, self._size)

    def _count_grid_rows(self) -> int:
        """The complete rows of the file of grids; 0 without the file, or when none are wanted."""
        if not self._views or not self.grids_file.exists():
            return 0
        return self.grids_file.stat().st_size // self._grid_bytes

    def open(self, next_row: int) -> None:
        """Open the files for `append`, cut back to the batches that `read` gave.

        next_row: the first row of the file of grids that no photo uses. It is not known here:
        rows of finished features come before those of the log, in the same file.
        """
        if not self._valid_index_bytes:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            self._index_file.write_text(self._header + "\n", encoding="utf-8", newline="\n")
            self._valid_index_bytes = self._index_file.stat().st_size
        # Truncated, not overwritten in place: the next append must begin where the last valid
        # batch ends, or all rows after it would be read shifted.
        self._vectors = self._open_at(
            self._vectors_file, self._valid_vectors * self._size * FLOAT32_BYTES
        )
        self._index = self._open_at(self._index_file, self._valid_index_bytes)
        self._grids = None
        self._next_row = next_row
        if self._views:
            self._grids = self._open_at(self.grids_file, next_row * self._grid_bytes)

    def _open_at(self, path: Path, length: int) -> BinaryIO:
        file = path.open("ab")
        self._open_files.append(file)
        file.truncate(length)
        return file

    def append(
        self,
        names: list[str],
        stamps: list[Stamp],
        vectors: np.ndarray,
        grids: np.ndarray | None,
        failed: dict[str, tuple[Stamp, str]],
    ) -> LoggedBatch:
        """Append a batch: vectors (photos, D) and grids (photos, views, regions, D).

        Raises `CaptioningError` when the disk is full; the batches before it stay valid.
        """
        first_row = self._next_row if self._grids is not None else None
        entry = {"names": names, "stamps": stamps, "row": first_row, "failed": failed}
        try:
            _append(self._vectors, np.ascontiguousarray(vectors, np.float32).tobytes())
            if self._grids is not None:
                _append(self._grids, np.ascontiguousarray(grids, np.float16).tobytes())
            _append(self._index, json.dumps(entry).encode() + b"\n")  # last: it commits the batch
        except OSError as error:
            raise CaptioningError(
                f"cannot write to {self.folder}: {error.strerror}; make room and run the same "
                "command again, it continues where it stopped"
            ) from None
        self._next_row += len(names) * self._views
        rows = _rows_of_photos(first_row, len(names), self._views)
        return LoggedBatch(names, stamps, vectors, rows, failed)

    def close(self) -> None:
        """Close the files; what was appended stays for the next run."""
        for file in self._open_files:
            with suppress(OSError):  # a full disk, which `append` has reported
                file.close()

    def remove(self) -> None:
        """Remove the folder of the log; the grids stay."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _batch_of(line: bytes, vectors: np.ndarray, views: int) -> LoggedBatch | None:
    """The batch of a line of the index, with its vectors; None when it is damaged.

    vectors: float32 (rows, D), all from the first row of this batch on.
    """
    try:
        entry = json.loads(line)
        names, stamps, failed = entry["names"], entry["stamps"], dict(entry["failed"])
        count = len(names)
        if not len(stamps) == count <= len(vectors):
            return None
        rows = _rows_of_photos(entry["row"], count, views)
        return LoggedBatch(names, stamps, vectors[:count], rows, failed)
    except (ValueError, TypeError, KeyError):
        return None


def _rows_of_photos(first_row: int | None, photos: int, views: int) -> list[list[int]]:
    """The rows of the photos of a batch: the views of a photo follow each other."""
    if first_row is None:
        return []
    starts = range(first_row, first_row + photos * views, views)
    return [list(range(start, start + views)) for start in starts]


def _append(file: BinaryIO, content: bytes) -> None:
    file.write(content)
    # Out of this process' buffer at once: a kill of the process then loses nothing, and the
    # files reach the system in the order in which they were written.
    file.flush()
