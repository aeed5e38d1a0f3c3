"""Where the desk's photos are: in a folder of the user's, and dropped ones in one of its own."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from captioning.app.project import PhotoFile
from captioning.data.photos import photos_of
from captioning.errors import CaptioningError
from captioning.files.folders import check_folder
from captioning.vision.images import UnreadableImageError, open_image

MAX_BYTES = 30_000_000
"""Of a dropped photo, or one that a program sends."""

MAX_PIXELS = 60_000_000
"""Of such a photo; lower than elsewhere, as several people's photos are decoded at once."""

AT_ONCE = 200
"""Photos that are dropped together."""

LONGEST_NAME = 120
"""Letters that are kept of a dropped photo's name."""


@dataclass(frozen=True)
class PhotoFolders:
    """folder: the user's photos, or None; recursive: also those in its subfolders; dropped: where
    photos go that are given by the page, readable by this user alone."""

    folder: Path | None
    recursive: bool
    dropped: Path

    def files(self) -> Iterator[PhotoFile]:
        """All that are there. Raises `CaptioningError` for a folder that can't be read."""
        if self.folder is not None:
            check_folder(self.folder, "the folder of photos")  # a drive may go while it is open
            for path in photos_of([self.folder], self.recursive).photos:
                place = path.relative_to(self.folder)
                if (file := _file(self.folder, place, dropped=False)) is not None:
                    yield file
        if self.dropped.is_dir():
            for path in sorted(self.dropped.iterdir()):
                if not path.name.startswith("."):
                    file = _file(self.dropped, Path(path.name), dropped=True)
                    if file is not None:
                        yield file

    def locate(self, path: Path, dropped: bool) -> Path:
        """Where a file of the project is."""
        return (self.dropped if dropped else self.folder or Path()) / path

    def file(self, path: Path, dropped: bool) -> PhotoFile | None:
        """A file of the project as it is now; None if it has gone."""
        return _file(self.dropped if dropped else self.folder or Path(), path, dropped)

    def open(self, path: Path, dropped: bool) -> Image.Image:
        """The photo, upright, RGB. Raises `UnreadableImageError`."""
        return open_image(self.locate(path, dropped), MAX_PIXELS)

    def keep(self, name: str, content: bytes) -> PhotoFile:
        """Keep a photo that was dropped, under a name that no other file has.

        Raises `UnreadableImageError` where it is no photo, or too large, and `CaptioningError` if
        the disk refuses it.
        """
        if len(content) > MAX_BYTES:
            raise UnreadableImageError(
                f"it has {len(content) / 1e6:.0f} MB, the most is {MAX_BYTES / 1e6:.0f} MB"
            )
        try:
            self.dropped.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, beside = tempfile.mkstemp(dir=self.dropped, prefix=".")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    os.fsync(file.fileno())
                open_image(Path(beside), MAX_PIXELS)
                place = self._free_place(name)
                Path(beside).replace(place)
            finally:
                Path(beside).unlink(missing_ok=True)
        except OSError as error:
            raise CaptioningError(
                f"cannot write to {self.dropped}: {error.strerror or error}"
            ) from None
        file_ = _file(self.dropped, Path(place.name), dropped=True)
        if file_ is None:
            raise CaptioningError(f"{place} vanished")
        return file_

    def _free_place(self, name: str) -> Path:
        """A path for a dropped photo; of its name only what can't lead elsewhere."""
        last = name.replace("\\", "/").rsplit("/", 1)[-1]
        shown = "".join(c if c.isprintable() and c not in '<>:"|?*' else "_" for c in last)
        # A lone surrogate or a leading dot would be a name that nothing lists.
        shown = shown.encode("utf-8", "replace").decode("utf-8").strip(" .") or "photo"
        stem, suffix = Path(shown).stem[:LONGEST_NAME], Path(shown).suffix[:10]
        place, count = self.dropped / f"{stem}{suffix}", 1
        while place.exists():
            count += 1
            place = self.dropped / f"{stem} {count}{suffix}"
        return place


def _file(root: Path, path: Path, dropped: bool) -> PhotoFile | None:
    """What the system tells of a file; None if it has gone."""
    try:
        stat = (root / path).stat()
    except OSError:
        return None
    return PhotoFile(path, dropped, stat.st_size, stat.st_mtime_ns)


def content_id(path: Path) -> str:
    """By what a photo is known: a hash of its file's bytes, 32 hexadecimal digits.

    Raises `OSError` where it can't be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, _hash).hexdigest()


def content_of(image: bytes) -> str:
    """The same of a file's bytes."""
    return _hash(image).hexdigest()


def _hash(content: bytes = b"") -> "hashlib.blake2b":
    return hashlib.blake2b(content, digest_size=16)
