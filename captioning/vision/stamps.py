"""Stamps of photos: whether a file is still the one that was encoded."""

import hashlib
import stat
from pathlib import Path

Stamp = list[int | str]
"""A photo's bytes, time of change in nanoseconds, and SHA-256; another one is another photo."""


def digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp_of(path: Path) -> Stamp:
    """A photo's stamp; zeros for one that can't be read."""
    before = size_and_time(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for for ever
            return [*before, ""]
        return [*before, digest_of_file(path)]
    except OSError:
        return [*before, ""]


def size_and_time(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return [0, 0]
    return [status.st_size, status.st_mtime_ns]
