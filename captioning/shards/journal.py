"""What is done of a shard, and what was being tried: a worker that dies loses a few photos.

Beside the results, while a shard is worked on, a file of lines, each a JSON object:
- `{"run": …}`: of which run and shard; another one's journal is begun anew;
- `{"start": true}`: a worker begins;
- `{"trying": [first, photo]}`: it computes the group of photos that begins at `first`, or of that
  group a single photo;
- `{"first": …, "rows": […], "counts": {…}}`: the group is done, with its rows, and how many rows
  of each array it added.

What was being tried when no other line followed, but the start of another worker, has brought a
worker down. Lines of two workers may be mixed, where one was taken for dead: their groups are the
same, and come out the same.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from captioning.shards.places import WriteError, first_line

Place = tuple[int, int]
"""A group by its first photo's number, and the number of one of its photos, or -1 for all."""


class Journal:
    """The journal of a shard, and the arrays made so far, in a folder of this machine.

    run: of which run and shard. rows: {first photo of a group: its rows}; deaths: {`Place`: how
    many workers died there}. Raises `WriteError` when the disk refuses.
    """

    def __init__(self, folder: Path, name: str, run: str) -> None:
        self._folder, self._name = folder, name
        self._path = folder / f".{name}.journal.part"
        self.rows: dict[int, list[dict[str, Any]]] = {}
        self.deaths: Counter[Place] = Counter()
        self._counts: dict[int, dict[str, int]] = {}
        self._trying: Place | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not self._read(run):
                self.rows, self._counts, self.deaths = {}, {}, Counter()
                self._path.write_bytes(_line({"run": run}))
            self._append({"start": True})
        except OSError as error:
            raise self._refused(error) from None

    def array(self, kind: str) -> Path:
        """The file of an array's rows so far."""
        return self._folder / f".{self._name}.{kind}.part"

    def trying(self, first: int, photo: int = -1) -> None:
        """Note what is about to be computed."""
        self._append({"trying": [first, photo]})

    def stopped(self) -> None:
        """Note that what was being tried ended in an exception, not with the worker's death."""
        self._append({"stopped": True})

    def add(self, first: int, rows: list[dict[str, Any]], arrays: dict[str, np.ndarray]) -> None:
        """Note a group's rows, and write its arrays."""
        before = self.counts()
        try:
            for kind, values in arrays.items():
                raw = np.ascontiguousarray(values).tobytes()
                start = before[kind] * values[:1].nbytes if len(values) else 0
                with self.array(kind).open("r+b" if self.array(kind).exists() else "wb") as file:
                    file.seek(start)
                    file.write(raw)
        except OSError as error:
            raise self._refused(error) from None
        counts = {kind: len(values) for kind, values in arrays.items()}
        self._append({"first": first, "rows": rows, "counts": counts})
        self.rows[first], self._counts[first] = rows, counts

    def counts(self) -> Counter[str]:
        """How many rows each array has."""
        total: Counter[str] = Counter()
        for own in self._counts.values():
            total.update(own)
        return total

    def remove(self) -> None:
        """Remove the journal, and arrays that were not taken."""
        for path in (self._path, *map(self.array, self.counts())):
            path.unlink(missing_ok=True)

    def _read(self, run: str) -> bool:
        """Take over what an earlier worker noted; False where there is nothing of this run."""
        if not self._path.exists():
            return False
        lines = self._path.read_bytes().split(b"\n")
        if lines[0] != _line({"run": run}).rstrip():
            return False
        for line in lines[1:-1]:  # the last one is empty, or was cut off
            try:
                self._take(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError):
                continue  # cut off by a kill; the next worker's lines follow
        if self._trying:
            self.deaths[self._trying] += 1
        if lines[-1]:
            self._append_raw(b"\n")
        return True

    def _take(self, line: dict[str, Any]) -> None:
        if "trying" in line:
            first, photo = line["trying"]
            self._trying = (first, photo)
            return
        if "start" in line and self._trying:
            self.deaths[self._trying] += 1
        if "first" in line and line["first"] not in self.rows:
            self.rows[line["first"]] = line["rows"]
            self._counts[line["first"]] = line["counts"]
        self._trying = None

    def _append(self, line: dict[str, Any]) -> None:
        self._append_raw(_line(line))

    def _append_raw(self, line: bytes) -> None:
        try:
            # Opened each time, in one write: a line is there as a whole, or cut off at its end.
            with self._path.open("ab", buffering=0) as file:
                file.write(line)
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> WriteError:
        return WriteError(f"cannot write {self._path}: {first_line(error)}; what is complete stays")


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
