"""What people decide about photos: kept, taken back, and both where two edit one at once."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from captioning.app.project_file import ProjectFile

STATES = ("todo", "approved", "edited", "skipped", "decorative")
"""Of a photo: nobody looked at it yet; the model's caption or a person's is right; no caption is
wanted now; it needs none, its alt text is empty."""

DONE = ("approved", "edited", "decorative")
"""What a person has decided."""


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


class Decisions:
    """Those of a project. row: the row of a file that is present, by its number, or None."""

    def __init__(self, file: ProjectFile, row: Callable[[int], dict[str, Any] | None]) -> None:
        self._file, self._row = file, row

    def change(self, number: int, change: Change) -> dict[str, Any] | None:
        """Keep what a person decided: the file's row after it; None for an unknown file.

        Where another person's caption came after the revision that this one saw, and says
        something else, it is kept as a rival, which the page shows.
        """
        with self._file.whole() as revision:
            row = self._row(number)
            if row is None or row["photo"] is None:
                return None
            mine = self._last_client(row["photo"]) == change.client
            rivals = [] if mine else _rivals(row, change)
            self._note(row, change.client, change.person, revision)
            caption = row["caption"] if change.state in ("skipped", "decorative") else None
            if change.state in ("approved", "edited"):
                caption = change.caption
            self._set(row["photo"], change.state, caption, change.person, rivals, revision)
            return self._row(number)

    def undo(self, client: str) -> tuple[dict[str, Any] | None, str]:
        """Take back the latest change of a browser: the file's row, or None, and a sentence.

        Nothing is taken back from a photo that somebody else changed since.
        """
        with self._file.whole() as revision:
            edit = self._file.database.execute(
                "SELECT * FROM edits WHERE client = ? AND NOT undone ORDER BY number DESC LIMIT 1",
                (client,),
            ).fetchone()
            if edit is None:
                return None, "There is nothing to undo."
            later = self._file.database.execute(
                "SELECT person FROM edits WHERE photo = ? AND number > ? AND NOT undone LIMIT 1",
                (edit["photo"], edit["number"]),
            ).fetchone()
            self._file.database.execute(
                "UPDATE edits SET undone = 1 WHERE number = ?", [edit["number"]]
            )
            number = self._file.database.execute(
                "SELECT min(number) FROM files WHERE photo = ? AND present", (edit["photo"],)
            ).fetchone()[0]
            if later is not None:
                who = later["person"] or "somebody else"
                return None, f"Not undone: {who} has changed that photo since."
            if number is None:
                return None, "Not undone: that photo is no longer here."
            before = json.loads(edit["before"])
            self._set(edit["photo"], *before, revision)
            return self._row(number), "Undone."

    def _last_client(self, photo: str) -> str | None:
        found = self._file.database.execute(
            "SELECT client FROM edits WHERE photo = ? ORDER BY number DESC LIMIT 1", (photo,)
        ).fetchone()
        return None if found is None else found["client"]

    def _note(self, row: dict[str, Any], client: str, person: str, revision: int) -> None:
        before = [row["state"], row["caption"], row["person"], row["rivals"]]
        self._file.database.execute(
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
        self._file.database.execute(
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

    def decided(self) -> set[int]:
        """The files about whose photos people decided something, perhaps taken back since."""
        with self._file.turn:
            found = self._file.database.execute(
                "SELECT number FROM files WHERE photo IN (SELECT photo FROM edits)"
            ).fetchall()
        return {number for (number,) in found}


def _rivals(row: dict[str, Any], change: Change) -> list[dict[str, str]]:
    """The captions to keep beside the one of this change."""
    is_seen = change.revision >= row["revision"]
    is_other = row["caption"] is not None and row["caption"] != change.caption
    if is_seen or not is_other or row["state"] not in ("approved", "edited"):
        return []
    kept = [rival for rival in row["rivals"] if rival["caption"] != change.caption]
    return [*kept, {"caption": row["caption"], "person": row["person"]}]
