"""Captions in the background: what somebody looks at first, then by name, four at a time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Condition, Thread
from typing import Any

import numpy as np

from captioning.app.photos import PhotoFolders, content_id
from captioning.app.project import ModelSays, Project
from captioning.app.shared_captioner import SharedCaptioner
from captioning.vision.images import UnreadableImageError

AT_ONCE = 4
"""Photos that are captioned together: so long somebody's question waits at the most."""

REMEMBERED = 2000
"""Photos that were looked at and still come first."""

READING = 0.25
"""Seconds for which files are read ahead after a batch, so that known photos are found soon."""

RECENT = 60.0
"""Seconds over which the speed is measured."""


@dataclass(frozen=True)
class Progress:
    """done, total: photos; seconds: that the others will take, None where it isn't known."""

    done: int
    total: int
    seconds: float | None


class Background:
    """The thread that reads new files and captions photos until `stop`."""

    def __init__(
        self,
        project: Project,
        folders: PhotoFolders,
        captioner: SharedCaptioner,
        report: Callable[[str], None],
    ) -> None:
        self._project, self._folders, self._captioner = project, folders, captioner
        self._report = report
        self._wake = Condition()
        self._looked_at: dict[int, None] = {}  # the latest last
        self._changed = True
        self._stopping = False
        self._remaining: dict[int, None] = {}  # to be captioned, as far as is known
        self._unread: dict[int, None] = {}  # those of them whose content isn't known yet
        self._total = 0
        self._speeds: list[tuple[float, int]] = []  # when a batch was done, and its photos
        self._thread = Thread(target=self._run, name="captions", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the photos at hand."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()

    def look(self, numbers: Sequence[int]) -> None:
        """These files are on somebody's screen, the most wanted first: they come first."""
        with self._wake:
            for number in reversed(numbers):
                self._looked_at.pop(number, None)
                self._looked_at[number] = None
            for number in list(self._looked_at)[:-REMEMBERED]:
                del self._looked_at[number]

    def changed(self) -> None:
        """There are new files."""
        with self._wake:
            self._changed = True
            self._wake.notify()

    def progress(self) -> Progress:
        """How far it is."""
        with self._wake:
            remaining, total = len(self._remaining), self._total
            speeds = list(self._speeds)
        seconds = None
        if remaining and len(speeds) > 1:
            # The first entry only says when the second batch began.
            photos = sum(count for _, count in speeds[1:])
            seconds = (speeds[-1][0] - speeds[0][0]) / max(1, photos) * remaining
        return Progress(total - remaining, total, seconds)

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except Exception as error:  # a thread's traceback alone would not reach the page
            self._report(f"Captioning has stopped: {error}. Start the desk again.")
            raise

    def _step(self) -> bool:
        """One batch, or wait for one; whether to go on."""
        with self._wake:
            while not (self._changed or self._remaining or self._stopping):
                self._wake.wait()
            if self._stopping:
                return False
            changed, self._changed = self._changed, False
        if changed:
            self._survey()
        batch = self._next()
        if batch:
            self._caption(batch)
        self._read_ahead()
        return True

    def _survey(self) -> None:
        """Look which files are unread and which photos have no captions yet."""
        unread = self._project.unidentified()
        remaining = dict.fromkeys(self._project.uncaptioned(self._captioner.signature))
        remaining.update(dict.fromkeys(unread))
        total = sum(row["copy_of"] is None for row in self._project.rows())
        with self._wake:
            self._remaining, self._total = remaining, total
            self._unread = dict.fromkeys(unread)
            self._speeds = [(time.monotonic(), 0)]

    def _next(self) -> list[int]:
        """The files of the next batch: those on a screen, otherwise the first by name."""
        with self._wake:
            wanted = [number for number in reversed(self._looked_at) if number in self._remaining]
            wanted = wanted[:AT_ONCE]
            others = (number for number in self._remaining if number not in wanted)
            return [*wanted, *islice(others, AT_ONCE - len(wanted))]

    def _caption(self, batch: Sequence[int]) -> None:
        """Read, caption and keep some photos; each that can't be read keeps the reason."""
        rows = self._identified(batch)
        pixels: list[np.ndarray] = []
        photos: list[str] = []
        found: list[ModelSays] = []
        for row in self._to_caption(rows):
            try:
                image = self._folders.open(row["path"], row["dropped"])
                pixels.append(self._captioner.pixels(image))
                photos.append(row["photo"])
            except UnreadableImageError as error:
                found.append(ModelSays(row["photo"], [], None, str(error)))
        if pixels:
            captions = self._captioner.caption(pixels, wait=True)
            for photo, (best, familiar) in zip(photos, captions, strict=True):
                found.append(ModelSays(photo, best, familiar))
        if found:
            self._project.keep_model_says(found, self._captioner.signature)
        with self._wake:
            for number in batch:
                self._remaining.pop(number, None)
            now = time.monotonic()
            self._speeds.append((now, len(photos)))
            self._speeds = [s for s in self._speeds if now - s[0] < RECENT] or self._speeds[-1:]

    def _to_caption(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Of identified files those without captions of this model; the others are done."""
        wanted = []
        with self._wake:
            for row in rows:
                if row["model"] != self._captioner.signature and row["copy_of"] is None:
                    wanted.append(row)
                    continue
                self._remaining.pop(row["number"], None)
                self._total -= row["copy_of"] is not None  # a copy is no photo of its own
        return wanted

    def _read_ahead(self) -> None:
        """Read some files' content for a moment: a photo that was renamed keeps its work."""
        end = time.monotonic() + READING
        while self._unread and time.monotonic() < end:
            batch = list(islice(self._unread, 64))
            unread = [n for n in batch if (row := self._project.row(n)) and row["photo"] is None]
            self._to_caption(self._identified(unread))
            for number in batch:
                self._unread.pop(number, None)

    def _identified(self, batch: Sequence[int]) -> list[dict[str, Any]]:
        """The rows of some files, whose content has been read; those that are gone are left out."""
        rows = [row for number in batch if (row := self._project.row(number)) is not None]
        contents: dict[int, str] = {}
        for row in rows:
            if row["photo"] is not None:
                continue
            try:
                place = self._folders.locate(row["path"], row["dropped"])
                contents[row["number"]] = content_id(place)
            except OSError:
                self._project.remove(row["number"])
        if contents:
            self._project.identify(contents)
        again = (self._project.row(number) for number in batch)
        return [row for row in again if row is not None]

    def identify(self, number: int) -> None:
        """Read a file's content now: somebody decides on its photo."""
        self._identified([number])
