"""Files that are whole or absent: everything is written beside its place, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from captioning.errors import CaptioningError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it takes the name `path` only when all went well.

    Raises `CaptioningError` when the disk refuses (full, read-only); the old file stays whole.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The ending stays last: Keras and Matplotlib choose the format by it.
    # A name may have 255 bytes, a letter up to four.
    beside = path.with_name(f".{path.stem[:40]}.{os.getpid()}{path.suffix}")
    try:
        yield beside
        _to_disk(beside)  # before the name: a machine that loses power keeps the one or the other
        beside.replace(path)
    except OSError as error:
        raise CaptioningError(
            f"cannot write {path}: {error.strerror or error}; nothing was changed there"
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
