"""Stamps of photos, which show whether a file is still the one that was encoded."""

import hashlib
import stat
from pathlib import Path

from captioning.vision.packed import PackedPhoto, Photo

Stamp = list[int | str]
"""A photo's size in bytes, time of change in nanoseconds, and SHA-256."""


def digest_of_file(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp_of(path: Photo) -> Stamp:
    """A photo's stamp; without a digest, "", for one that can't be read."""
    before = size_and_time(path)
    try:
        if isinstance(path, PackedPhoto):
            return [*before, hashlib.sha256(path.read_bytes()).hexdigest()]
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for its writer
            return [*before, ""]
        return [*before, digest_of_file(path)]
    except OSError:
        return [*before, ""]


def size_and_time(path: Photo) -> list[int]:
    """A file's size in bytes and time of change in nanoseconds; zeros for one that is missing.

    Of a photo inside of another file those of that file.
    """
    try:
        status = (path.archive if isinstance(path, PackedPhoto) else path).stat()
    except OSError:
        return [0, 0]
    return [status.st_size, status.st_mtime_ns]
