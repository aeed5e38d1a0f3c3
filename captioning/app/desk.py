"""What the desk does with its photos, without the web: rows, decisions, words, dropped photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Timer
from typing import Any

import numpy as np

from captioning.app.background import Background
from captioning.app.corrections import Correction, write_corrections
from captioning.app.decisions import STATES, Change
from captioning.app.folder_watch import FolderWatch
from captioning.app.photos import AT_ONCE, PhotoFolders, content_id
from captioning.app.pictures import Pictures
from captioning.app.project import Project
from captioning.app.shared_captioner import SharedCaptioner
from captioning.errors import CaptioningError
from captioning.inference.familiarity import is_unfamiliar
from captioning.pictures.attention_maps import region_name
from captioning.vision.images import UnreadableImageError

LONGEST_CAPTION = 1000
"""Letters of a caption."""

CORRECTING = 2.0
"""Seconds from a decision until the file of corrections has it; the project has it at once."""

LONGEST_PERSON = 40
"""Letters of a name at the desk."""


@dataclass(frozen=True)
class DeskSettings:
    """Where a desk keeps what it keeps.

    project: its SQLite file; folders: of its photos; corrections: the file that people's captions
    go into, as training reads them.
    """

    project: Path
    folders: PhotoFolders
    corrections: Path


class Desk:
    """A desk, open until `close`. Raises `CaptioningError` as `Project` and `PhotoFolders` do."""

    def __init__(self, settings: DeskSettings, captioner: SharedCaptioner) -> None:
        self.settings, self.captioner = settings, captioner
        self.folders = settings.folders
        self.notice = ""
        """What everyone at the desk should know."""
        self.project = Project(settings.project)
        self.project.begin(self.folders.files())
        self.pictures = Pictures()
        self._correcting: Timer | None = None
        self.background = Background(self.project, self.folders, captioner, self._say)
        self.writing = Lock()
        """Held while the desk itself changes files of the folder."""
        self._watch = FolderWatch(self.look_at_folder)
        self._unreadable = ""  # why the folder could not be read when it was last looked at

    def start(self) -> None:
        """Begin to caption, and to look what comes into the folder."""
        self.background.start()
        self._watch.start()

    def look_at_folder(self) -> None:
        """Take in what has come into the folder, gone, or been renamed since."""
        try:
            with self.writing:
                is_new = self.project.update(self.folders.files())
            self._unreadable = ""
        except (CaptioningError, OSError) as error:  # a drive that is gone: the rows stay
            if self._unreadable != str(error):
                self._unreadable = str(error)
                self._say(self._unreadable)
            return
        if is_new:
            self.background.changed()

    def _say(self, notice: str) -> None:
        self.notice = notice

    def close(self) -> None:
        """Finish the photos at hand, and close the project."""
        self._watch.stop()
        self.background.stop()
        if self._correcting is not None:
            self._correcting.cancel()
            self._correcting.join()
            self.write_corrections()
        self.project.close()

    def changes(self, since: int) -> dict[str, Any]:
        """What changed after revision `since`, all of it with -1, and how far the captions are."""
        revision = self.project.revision  # before the rows: a change between is told twice
        progress = self.background.progress()
        return {
            "revision": revision,
            "rows": [for_page(row) for row in self.project.rows(since)],
            "progress": vars(progress),
            "notice": self.notice,
        }

    def decide(self, number: int, change: Change) -> dict[str, Any] | None:
        """Keep what a person decided; the file's row after it, None for a file that isn't there.

        Whether a caption is the model's or a person's, "approved" or "edited", is told by its
        text. Raises `CaptioningError` for what can't be kept.
        """
        caption = " ".join(change.caption.split())
        if change.state not in STATES:
            raise CaptioningError(f"the state {change.state[:20]!r} isn't one of {list(STATES)}")
        if len(caption) > LONGEST_CAPTION:
            raise CaptioningError(f"a caption has at most {LONGEST_CAPTION} letters")
        if change.state in ("approved", "edited") and not caption:
            raise CaptioningError("there is no caption to approve yet")
        self.background.identify(number)
        row = self.project.row(number)
        if row is None:
            return None
        state = change.state
        if state in ("approved", "edited"):
            of_model = [text for text, _ in row["best"]]
            state = "approved" if caption in of_model else "edited"
        person = " ".join(change.person.split())[:LONGEST_PERSON]
        kept = Change(state, caption, change.revision, change.client, person)
        after = self.project.decisions.change(number, kept)
        self._correct_soon()
        return None if after is None else for_page(after)

    def undo(self, client: str) -> tuple[dict[str, Any] | None, str]:
        """Take back the latest change of a browser: the file's row, or None, and a sentence."""
        row, sentence = self.project.decisions.undo(client)
        self._correct_soon()
        return (None if row is None else for_page(row)), sentence

    def picture(self, number: int, size: str) -> tuple[bytes, str] | None:
        """A photo as JPEG, "small" or "large", and its id; None where there is no such file.

        Raises `UnreadableImageError`.
        """
        self.background.identify(number)
        row = self.project.row(number)
        if row is None or row["photo"] is None:
            return None
        photo = row["photo"]
        return self.pictures.get(
            photo, size, lambda: self.folders.open(row["path"], row["dropped"])
        ), photo

    def details(self, number: int) -> dict[str, Any] | None:
        """The N best captions of a file, with scores, and its rivals; None if it isn't there."""
        self.background.look([number])
        self.background.identify(number)
        row = self.project.row(number)
        if row is None:
            return None
        return {**for_page(row), "best": _captions(row["best"])}

    def words(self, number: int, caption: str) -> list[dict[str, Any]] | None:
        """For each word where the decoder looked, and what else fits; None without the file."""
        if (opened := self._opened(number)) is None:
            return None
        choices = self.captioner.words(*opened, caption[:LONGEST_CAPTION])
        return [
            {
                "word": choice.word,
                "share": round(choice.probability, 4),
                "others": [
                    {"word": word, "share": round(share, 4)} for word, share in choice.likeliest
                ],
                "where": None if choice.attention is None else region_name(choice.attention),
                "weights": None
                if choice.attention is None
                else np.round(choice.attention / choice.attention.max(), 2).tolist(),
            }
            for choice in choices
        ]

    def go_on(self, number: int, prefix: str) -> list[dict[str, Any]] | None:
        """The N best captions that begin with these words; None without the file."""
        if (opened := self._opened(number)) is None:
            return None
        return _captions(self.captioner.go_on(*opened, prefix[:LONGEST_CAPTION]))

    def _opened(self, number: int) -> tuple[str, np.ndarray] | None:
        """A file's photo: its id, and its pixels as the encoder reads them."""
        self.background.identify(number)
        row = self.project.row(number)
        if row is None:
            return None
        image = self.folders.open(row["path"], row["dropped"])
        return row["photo"], self.captioner.pixels(image)

    def drop(self, files: Sequence[tuple[str, bytes]]) -> tuple[list[int], list[str]]:
        """Keep dropped photos: their numbers, and a sentence for each that was refused."""
        numbers, refused = [], []
        if len(files) > AT_ONCE:
            refused.append(
                f"{len(files) - AT_ONCE} photos were refused: {AT_ONCE} are the most at a time. "
                "Open a folder of many with app.py FOLDER."
            )
        for name, content in files[:AT_ONCE]:
            try:
                numbers.append(self._drop(name, content))
            except UnreadableImageError as error:
                refused.append(f"{name} was refused: {error}.")
        self.background.changed()
        return list(dict.fromkeys(numbers)), refused

    def _drop(self, name: str, content: bytes) -> int:
        file = self.folders.keep(name, content)
        place = self.folders.locate(file.path, True)
        number = self.project.add(file, content_id(place))
        row = self.project.row(number)
        if row is not None and row["copy_of"] is not None:  # it is here already: once is enough
            place.unlink(missing_ok=True)
            self.project.remove(number)
            return row["copy_of"]
        return number

    def remove(self, number: int) -> bool:
        """Delete a dropped photo; a photo in the user's folder is never deleted."""
        row = self.project.row(number)
        if row is None or not row["dropped"]:
            return False
        self.folders.locate(row["path"], True).unlink(missing_ok=True)
        self.project.remove(number)
        self.background.changed()
        return True

    def corrections(self) -> list[Correction]:
        """The captions of people that differ from the model's, for training."""
        return [
            Correction(row["path"].as_posix(), row["caption"], row["best"][0][0])
            for row in self.project.rows()
            if row["state"] == "edited" and row["caption"] and row["best"]
        ]

    def write_corrections(self) -> None:
        """Bring the file of corrections up to date with the project."""
        decided = self.project.decisions.decided()
        names = {row["path"].as_posix() for row in self.project.rows() if row["number"] in decided}
        try:
            write_corrections(self.settings.corrections, self.corrections(), names)
        except CaptioningError as error:  # the project has them all: nothing is lost
            self._say(str(error))

    def _correct_soon(self) -> None:
        """Write the corrections in a moment, once for several decisions."""
        if self._correcting is None or not self._correcting.is_alive():
            self._correcting = Timer(CORRECTING, self.write_corrections)
            self._correcting.daemon = True
            self._correcting.start()


def for_page(row: dict[str, Any]) -> dict[str, Any]:
    """What the page shows of a file's row."""
    best = row["best"]
    name = row["path"].as_posix()
    return {
        "number": row["number"],
        "photo": row["photo"],
        # A name that isn't UTF-8 has lone surrogates, which JSON can't carry.
        "name": name.encode("utf-8", "replace").decode("utf-8"),
        "gone": not row["present"] or row["copy_of"] is not None,
        "dropped": bool(row["dropped"]),
        "state": row["state"],
        "caption": row["caption"],
        "said": best[0][0] if best else None,
        "score": round(best[0][1], 4) if best else None,
        "familiar": None if row["familiar"] is None else round(row["familiar"], 3),
        "unlike": is_unfamiliar(row["familiar"]),
        "error": row["error"],
        "rivals": row["rivals"],
        "person": row["person"],
        "revision": row["revision"],
    }


def _captions(best: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"caption": text, "score": round(score, 4)} for text, score in best]
