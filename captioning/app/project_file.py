"""The SQLite file of a project: one process has it open, and each change is whole or not at all."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock

from captioning.errors import CaptioningError

VERSION = 1
"""Of the tables, kept in the file as its `user_version`."""

_SCHEMA = Path(__file__).with_name("project_schema.sql")


class ProjectFile:
    """An open file. Raises `CaptioningError` if it can't be written, or isn't a project.

    database: its connection, which a thread uses while it has the `turn`; revision: the number of
    the latest change.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.turn = RLock()
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
        (found,) = self.database.execute(
            "SELECT max((SELECT coalesce(max(revision), 0) FROM photos), "
            "(SELECT coalesce(max(revision), 0) FROM files))"
        ).fetchone()
        self.revision: int = found

    def _open(self) -> None:
        with suppress(OSError):  # SQLite says why it can't
            # What people write about their photos is private; its log gets the same mode.
            self.path.touch(mode=0o600)
        self.database = sqlite3.connect(
            self.path, timeout=1, isolation_level=None, check_same_thread=False
        )
        self.database.row_factory = sqlite3.Row
        run = self.database.execute
        # With a lock of its own it needs no shared memory, which network drives lack.
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")  # on the disk after each change, also if power fails
        (version,) = run("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"its version is {version}, this program's {VERSION}")
        self.database.executescript(_SCHEMA.read_text(encoding="utf-8"))
        run(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        """Close the file."""
        with self.turn:
            self.database.close()

    @contextmanager
    def whole(self) -> Iterator[int]:
        """Everything in the block or nothing of it is kept; gives the revision it makes."""
        with self.turn:
            self.database.execute("BEGIN IMMEDIATE")
            try:
                yield self.revision + 1
                self.database.execute("COMMIT")
                self.revision += 1
            except BaseException:
                self.database.execute("ROLLBACK")
                raise
