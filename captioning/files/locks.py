"""One run at a time: files and folders locked against other processes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.folders import check_room_for_folder

_TEMPORARY_NAME = r"\..+\.\d+(\.\w+)?"
"""Names of temporary files, as `whole.written_whole` makes them: .features.4711.p"""


@contextmanager
def locked(file: Path, what: Path, instead: str) -> Iterator[None]:
    """Hold a lock, the file `file`, for as long as this process writes to `what`.

    The system releases the lock when the process ends, however it ends, so that a killed run
    blocks nobody. The file's folder is made. Raises `CaptioningError` at once when another
    process holds the lock; `instead` says in the message what to do then.
    """
    from filelock import FileLock, Timeout  # here: captions on a terminal need no lock

    check_room_for_folder(file.parent)
    lock = FileLock(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        raise CaptioningError(
            f"another run is writing to {what}; wait for it, or {instead}"
        ) from None
    except OSError as error:
        raise CaptioningError(f"cannot write to {what}: {error.strerror or error}") from None
    try:
        yield
    finally:
        # Removed before it is released: otherwise another process could lock it in between, and
        # a third one would lock a new file of the same name. filelock notices a removed file and
        # tries again. Windows refuses to remove open files; filelock does it there.
        with suppress(OSError):
            file.unlink(missing_ok=True)
        lock.release()


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Make `folder` and lock it against other runs, which would write the same files.

    Temporary files of a killed run are removed, and so is a folder that was made here and is
    empty in the end. Raises `CaptioningError` when another run holds the folder, or a file is in
    its way.
    """
    folder = Path(folder)
    check_room_for_folder(folder)
    is_new = not folder.exists()
    try:
        with locked(folder / ".lock", folder, "name another folder"):
            # Under the lock: no other run of ours can be writing them.
            for path in folder.iterdir():
                if re.fullmatch(_TEMPORARY_NAME, path.name) and path.is_file():
                    path.unlink(missing_ok=True)
            yield
    finally:
        with suppress(OSError):  # it isn't empty, or was never made
            if is_new:
                folder.rmdir()
