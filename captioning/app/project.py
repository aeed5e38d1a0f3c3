"""The desk's project: what the model and people said of each photo, kept in a SQLite file.

A change is on the disk when its method returns, and is there whole or not at all, whenever the
process is killed. One process has the file at a time (`ProjectFile`); its threads take turns.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captioning.app.decisions import Decisions
from captioning.app.project_file import ProjectFile

_ROWS = """
SELECT f.number, f.path, f.dropped, f.photo, f.copy_of, f.present, p.state, p.caption, p.person,
    p.rivals, p.best, p.familiar, p.model, p.error,
    max(f.revision, coalesce(p.revision, 0)) AS revision
FROM files f LEFT JOIN photos p ON p.id = f.photo
"""


@dataclass(frozen=True)
class PhotoFile:
    """A file as the system tells of it; path: in the folder, or among the dropped photos."""

    path: Path
    dropped: bool
    size: int
    modified: int


@dataclass(frozen=True)
class ModelSays:
    """The N best captions of a photo, how familiar it is, or why it can't be read."""

    photo: str
    best: list[tuple[str, float]]
    familiar: float | None
    error: str | None = None


class Project:
    """An open project. Raises `CaptioningError` as `ProjectFile`."""

    def __init__(self, path: Path) -> None:
        self._file = ProjectFile(path)
        self._database, self._turn = self._file.database, self._file.turn
        self._whole = self._file.whole
        self.decisions = Decisions(self._file, self.row)
        """What people decide about the photos."""

    @property
    def revision(self) -> int:
        """The number of the latest change."""
        return self._file.revision

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def begin(self, files: Iterable[PhotoFile]) -> None:
        """The files that are there now; those known, of the same size and time, keep their work."""
        with self._whole() as revision:
            self._database.execute("UPDATE files SET present = 0")
            self._database.executemany(_ADD_FILE, [_values(f, revision) for f in files])
            self._mark_copies(revision)

    def update(self, files: Iterable[PhotoFile]) -> bool:
        """The files that are there now, as `begin`; whether any has come, gone or changed.

        A file that has another's size and time, which is no longer there, is that one renamed; of
        several that could be it, the first.
        """
        found = {(os.fsencode(file.path), int(file.dropped)): file for file in files}
        with self._turn:
            known = {
                (path, dropped): (number, (size, modified))
                for number, path, dropped, size, modified in self._database.execute(
                    "SELECT number, path, dropped, size, modified FROM files WHERE present"
                )
            }
        gone = dict(about for key, about in known.items() if key not in found)
        renamed = {gone[number]: number for number in sorted(gone, reverse=True)}
        new = [
            file
            for key, file in found.items()
            if key not in known or known[key][1] != (file.size, file.modified)
        ]
        if not (new or gone):
            return False
        with self._whole() as revision:
            for file in new:
                number = renamed.pop((file.size, file.modified), None)
                if number is None:
                    self._database.execute(_ADD_FILE, _values(file, revision))
                else:
                    self._rename(number, file, revision)
                    del gone[number]
            for number in gone:
                self._leave(number, revision)
            self._mark_copies(revision)
        return True

    def _rename(self, number: int, file: PhotoFile, revision: int) -> None:
        run, place = self._database.execute, (os.fsencode(file.path), int(file.dropped))
        before = tuple(
            run("SELECT path, dropped FROM files WHERE number = ?", (number,)).fetchone()
        )
        other = run("SELECT number FROM files WHERE path = ? AND dropped = ?", place).fetchone()
        # One that had this name is gone, and stays in the table, since pages are told of it. The
        # two exchange their names, by way of one that no file can have: each name is there once.
        if other:
            self._leave(other[0], revision)
            run("UPDATE files SET path = x'00', photo = NULL WHERE number = ?", other)
        run(
            "UPDATE files SET path = ?, dropped = ?, photo = NULL, copy_of = NULL, revision = ? "
            "WHERE number = ?",
            (*place, revision, number),
        )
        if other:
            run("UPDATE files SET path = ?, dropped = ? WHERE number = ?", (*before, other[0]))

    def _leave(self, number: int, revision: int) -> None:
        self._database.execute(
            "UPDATE files SET present = 0, copy_of = NULL, revision = ? WHERE number = ?",
            (revision, number),
        )

    def add(self, file: PhotoFile, photo: str) -> int:
        """A file that was just dropped, with its content's id: its number."""
        with self._whole() as revision:
            self._database.execute(_ADD_FILE, _values(file, revision))
            number = self._number(file)
        self.identify({number: photo})
        return number

    def _number(self, file: PhotoFile) -> int:
        (number,) = self._database.execute(
            "SELECT number FROM files WHERE path = ? AND dropped = ?",
            (os.fsencode(file.path), file.dropped),
        ).fetchone()
        return number

    def identify(self, contents: Mapping[int, str]) -> None:
        """Say what the content of files is: {number: the photo's id}."""
        with self._whole() as revision:
            run = self._database.execute
            for number, photo in contents.items():
                run("INSERT OR IGNORE INTO photos (id, revision) VALUES (?, ?)", (photo, revision))
                run(
                    "UPDATE files SET photo = ?, revision = ? WHERE number = ?",
                    (photo, revision, number),
                )
            for photo in set(contents.values()):
                self._mark_copies(revision, photo)

    def expect(self, number: int, photo: str) -> None:
        """A file is about to get other content, which shows the same: its work is kept for it.

        photo: the id of that content. The file may be changed after this, and whenever the
        process is killed, before or after, the photo keeps its work.
        """
        with self._whole() as revision:
            names = ("state", "caption", "person", "rivals", "best", "familiar", "model", "error")
            same = ", ".join(f"{name} = excluded.{name}" for name in names)
            self._database.execute(
                f"INSERT INTO photos (id, revision, {', '.join(names)}) "
                f"SELECT ?, ?, {', '.join(names)} FROM photos "
                "WHERE id = (SELECT photo FROM files WHERE number = ?) "
                f"ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, {same}",
                (photo, revision, number),
            )

    def replaced(self, number: int, file: PhotoFile, photo: str) -> None:
        """The file has that content now; what was decided before can be taken back as before."""
        with self._whole() as revision:
            run = self._database.execute
            (before,) = run("SELECT photo FROM files WHERE number = ?", (number,)).fetchone()
            run("UPDATE edits SET photo = ? WHERE photo = ?", (photo, before))
            run(
                "UPDATE files SET photo = ?, size = ?, modified = ?, copy_of = NULL, revision = ? "
                "WHERE number = ?",
                (photo, file.size, file.modified, revision, number),
            )
            for own in (before, photo):
                self._mark_copies(revision, own)

    def _mark_copies(self, revision: int, photo: str | None = None) -> None:
        """Of files with the same content the first is shown, the others are its copies."""
        which, values = ("", []) if photo is None else ("AND photo = ?", [photo])
        first = (
            "(SELECT nullif(min(o.number), files.number) FROM files o "
            "WHERE o.photo = files.photo AND o.present)"
        )
        self._database.execute(
            f"UPDATE files SET copy_of = {first}, revision = ? "
            f"WHERE present AND photo IS NOT NULL AND copy_of IS NOT {first} {which}",
            [revision, *values],
        )

    def remove(self, number: int) -> None:
        """Forget a file; what was said of its content stays."""
        with self._whole() as revision:
            self._leave(number, revision)
            self._mark_copies(revision)

    def keep_model_says(self, found: Sequence[ModelSays], model: str) -> None:
        """Keep the model's captions. What people said stays as it is."""
        rows = [
            (json.dumps(s.best, ensure_ascii=False), s.familiar, model, s.error, s.photo)
            for s in found
        ]
        with self._whole() as revision:
            self._database.executemany(
                "UPDATE photos SET best = ?, familiar = ?, model = ?, error = ?, "
                f"revision = {revision} WHERE id = ?",
                rows,
            )

    def rows(self, since: int = -1) -> list[dict[str, Any]]:
        """Files of which anything changed after revision `since`, those that are gone as well."""
        with self._turn:
            if since < 0:
                found = self._database.execute(f"{_ROWS} WHERE f.present").fetchall()
            else:
                found = self._database.execute(
                    f"{_ROWS} WHERE f.number IN (SELECT number FROM files WHERE revision > ? "
                    "UNION SELECT number FROM files WHERE photo IN "
                    "(SELECT id FROM photos WHERE revision > ?))",
                    (since, since),
                ).fetchall()
        return list(map(_as_row, found))

    def row(self, number: int) -> dict[str, Any] | None:
        """One file that is present, or None."""
        with self._turn:
            found = self._database.execute(
                f"{_ROWS} WHERE f.number = ? AND f.present", (number,)
            ).fetchone()
        return None if found is None else _as_row(found)

    def unidentified(self) -> list[int]:
        """The files whose content isn't known yet."""
        with self._turn:
            found = self._database.execute(
                "SELECT number FROM files WHERE present AND photo IS NULL ORDER BY path"
            ).fetchall()
        return [number for (number,) in found]

    def uncaptioned(self, model: str) -> list[int]:
        """The files, by name, that this model has not captioned, and nobody has decided on."""
        with self._turn:
            found = self._database.execute(
                "SELECT f.number FROM files f JOIN photos p ON p.id = f.photo "
                "WHERE f.present AND f.copy_of IS NULL AND p.model IS NOT ? "
                "AND (p.state = 'todo' OR p.model IS NULL) ORDER BY f.path",
                (model,),
            ).fetchall()
        return [number for (number,) in found]


_ADD_FILE = """
INSERT INTO files (path, dropped, size, modified, revision) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (path, dropped) DO UPDATE SET present = 1, copy_of = NULL, revision = excluded.revision,
    photo = CASE WHEN size = excluded.size AND modified = excluded.modified THEN photo END,
    size = excluded.size, modified = excluded.modified
"""


def _values(file: PhotoFile, revision: int) -> tuple:
    return (os.fsencode(file.path), file.dropped, file.size, file.modified, revision)


def _as_row(found: sqlite3.Row) -> dict[str, Any]:
    row = dict(found)
    row["path"] = Path(os.fsdecode(row["path"]))
    row["state"] = row["state"] or "todo"
    row["person"] = row["person"] or ""
    row["rivals"] = json.loads(row["rivals"] or "[]")
    row["best"] = json.loads(row["best"] or "[]")
    return row
