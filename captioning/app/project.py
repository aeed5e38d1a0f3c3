"""The desk's project file: what the model and people said of each photo, in SQLite.

A change is on the disk when its method returns, and is there whole or not at all, whenever the
process is killed. One process has the file at a time; its threads take turns.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import Any

from captioning.errors import CaptioningError

STATES = ("todo", "approved", "edited", "skipped", "decorative")
"""Of a photo: nobody looked at it yet; the model's caption or a person's is right; no caption is
wanted now; it needs none, its alt text is empty."""

DONE = ("approved", "edited", "decorative")
"""What a person has decided."""

VERSION = 1
"""Of the tables, kept in the file as its `user_version`."""

_SCHEMA = Path(__file__).with_name("project_schema.sql")

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


@dataclass(frozen=True)
class Change:
    """What a person decided about a photo, seen at `revision`.

    caption: what the person saw or wrote, "" for none; client: the browser, whose changes it can
    take back; person: a name to show.
    """

    state: str
    caption: str
    revision: int
    client: str
    person: str = ""


class Project:
    """An open project file. Raises `CaptioningError` if it can't be written, or isn't one."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._turn = RLock()
        try:
            self._open()
        except sqlite3.OperationalError as error:
            busy = "locked" in str(error)
            raise CaptioningError(
                f"another desk has {path} open; use its page, or end it"
                if busy
                else f"cannot write the project {path} ({error}); name another with --project"
            ) from None
        except sqlite3.DatabaseError as error:
            raise CaptioningError(
                f"{path} is no project of the desk ({error}); name another with --project"
            ) from None
        (found,) = self._database.execute(
            "SELECT max((SELECT coalesce(max(revision), 0) FROM photos), "
            "(SELECT coalesce(max(revision), 0) FROM files))"
        ).fetchone()
        self.revision: int = found

    def _open(self) -> None:
        with suppress(OSError):  # SQLite says why it can't
            # What people write about their photos is private; its log gets the same mode.
            self.path.touch(mode=0o600)
        self._database = sqlite3.connect(
            self.path, timeout=1, isolation_level=None, check_same_thread=False
        )
        self._database.row_factory = sqlite3.Row
        run = self._database.execute
        # With a lock of its own it needs no shared memory, which network drives lack.
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")  # on the disk after each change, also if power fails
        (version,) = run("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"its version is {version}, this program's {VERSION}")
        self._database.executescript(_SCHEMA.read_text(encoding="utf-8"))
        run(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._database.close()

    @contextmanager
    def _whole(self) -> Iterator[int]:
        """Everything in the block or nothing of it is kept; gives the revision it makes."""
        with self._turn:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self.revision + 1
                self._database.execute("COMMIT")
                self.revision += 1
            except BaseException:
                self._database.execute("ROLLBACK")
                raise

    def begin(self, files: Iterable[PhotoFile]) -> None:
        """The files that are there now; those known, of the same size and time, keep their work."""
        with self._whole() as revision:
            self._database.execute("UPDATE files SET present = 0")
            self._database.executemany(_ADD_FILE, [_values(f, revision) for f in files])
            self._mark_copies(revision)

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
            self._database.execute(
                "UPDATE files SET present = 0, copy_of = NULL, revision = ? WHERE number = ?",
                (revision, number),
            )
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

    def change(self, number: int, change: Change) -> dict[str, Any] | None:
        """Keep what a person decided: the file's row after it; None for an unknown file.

        Where another person's caption came after the revision that this one saw, and says
        something else, it is kept as a rival, which the page shows.
        """
        with self._whole() as revision:
            row = self.row(number)
            if row is None or row["photo"] is None:
                return None
            mine = self._last_client(row["photo"]) == change.client
            rivals = [] if mine else _rivals(row, change)
            self._note(row, change.client, change.person, revision)
            caption = row["caption"] if change.state in ("skipped", "decorative") else None
            if change.state in ("approved", "edited"):
                caption = change.caption
            self._set(row["photo"], change.state, caption, change.person, rivals, revision)
            return self.row(number)

    def undo(self, client: str) -> tuple[dict[str, Any] | None, str]:
        """Take back the latest change of a browser: the file's row, or None, and a sentence.

        Nothing is taken back from a photo that somebody else changed since.
        """
        with self._whole() as revision:
            edit = self._database.execute(
                "SELECT * FROM edits WHERE client = ? AND NOT undone ORDER BY number DESC LIMIT 1",
                (client,),
            ).fetchone()
            if edit is None:
                return None, "There is nothing to undo."
            later = self._database.execute(
                "SELECT person FROM edits WHERE photo = ? AND number > ? AND NOT undone LIMIT 1",
                (edit["photo"], edit["number"]),
            ).fetchone()
            self._database.execute("UPDATE edits SET undone = 1 WHERE number = ?", [edit["number"]])
            number = self._database.execute(
                "SELECT min(number) FROM files WHERE photo = ? AND present", (edit["photo"],)
            ).fetchone()[0]
            if later is not None:
                who = later["person"] or "somebody else"
                return None, f"Not undone: {who} has changed that photo since."
            if number is None:
                return None, "Not undone: that photo is no longer here."
            before = json.loads(edit["before"])
            self._set(edit["photo"], *before, revision)
            return self.row(number), "Undone."

    def _last_client(self, photo: str) -> str | None:
        found = self._database.execute(
            "SELECT client FROM edits WHERE photo = ? ORDER BY number DESC LIMIT 1", (photo,)
        ).fetchone()
        return None if found is None else found["client"]

    def _note(self, row: dict[str, Any], client: str, person: str, revision: int) -> None:
        before = [row["state"], row["caption"], row["person"], row["rivals"]]
        self._database.execute(
            "INSERT INTO edits (time, client, person, photo, before, revision) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                datetime.now(UTC).isoformat(timespec="seconds"),
                client,
                person,
                row["photo"],
                json.dumps(before, ensure_ascii=False),
                revision,
            ),
        )

    def _set(self, photo: str, *values: Any) -> None:
        """State, caption, person, rivals and revision of a photo."""
        state, caption, person, rivals, revision = values
        self._database.execute(
            "UPDATE photos SET state = ?, caption = ?, person = ?, rivals = ?, revision = ? "
            "WHERE id = ?",
            (
                state,
                caption,
                person,
                json.dumps(rivals, ensure_ascii=False),
                revision,
                photo,
            ),
        )

    def unidentified(self) -> list[int]:
        """The files whose content isn't known yet."""
        with self._turn:
            found = self._database.execute(
                "SELECT number FROM files WHERE present AND photo IS NULL ORDER BY path"
            ).fetchall()
        return [number for (number,) in found]

    def decided(self) -> set[int]:
        """The files about whose photos people decided something, perhaps taken back since."""
        with self._turn:
            found = self._database.execute(
                "SELECT number FROM files WHERE photo IN (SELECT photo FROM edits)"
            ).fetchall()
        return {number for (number,) in found}

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


def _rivals(row: dict[str, Any], change: Change) -> list[dict[str, str]]:
    """The captions to keep beside the one of this change."""
    is_seen = change.revision >= row["revision"]
    is_other = row["caption"] is not None and row["caption"] != change.caption
    if is_seen or not is_other or row["state"] not in ("approved", "edited"):
        return []
    kept = [rival for rival in row["rivals"] if rival["caption"] != change.caption]
    return [*kept, {"caption": row["caption"], "person": row["person"]}]
