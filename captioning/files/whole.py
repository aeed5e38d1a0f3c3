"""Files written completely or not at all: written under a temporary name, then renamed.

A rename within a folder replaces the old file at once: whoever opens the file, and whoever finds
it after a kill, has the old content or the new one, never a part of either.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from captioning.errors import CaptioningError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; what is written there becomes `path` at the end.

    Where the block raises, the old file stays as it was and the temporary one is removed. Raises
    `CaptioningError` when the disk refuses (full, read-only). The folder is made.
    """
    path = Path(path)
    # Beside it, not in /tmp: a rename works within one disk only. The suffix stays last, as Keras
    # and Matplotlib choose the format by it. 40 letters of the stem: a name may have 255 bytes,
    # and a letter up to four. The process' number keeps two writers apart.
    beside = path.with_name(f".{path.stem[:40]}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        _flush_to_disk(beside)  # else a power cut could leave the new name with no content
        beside.replace(path)
    except OSError as error:
        raise CaptioningError(
            f"cannot write {path}: {error.strerror or error}; nothing was changed there"
        ) from error
    finally:
        with suppress(OSError):  # it was never made, as nothing can be written here
            beside.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    """Wait until the file's content is on the disk, not only in the system's memory."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
