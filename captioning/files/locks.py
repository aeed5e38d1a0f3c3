"""One run at a time: files and folders kept to this process."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from captioning.errors import CaptioningError


@contextmanager
def locked(file: Path, what: Path, instead: str) -> Iterator[None]:
    """Keep `what` to this process while `file`, beside or in it, is locked; its folder is made.

    The system lets go of the lock when the process ends, however it ends. Raises
    `CaptioningError` at once when another process has it; `instead` says what to do then.
    """
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
        # It goes while it is locked: who opened it before finds it gone, and tries anew. Windows
        # keeps open files; filelock removes it there.
        with suppress(OSError):
            file.unlink(missing_ok=True)
        lock.release()


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Make `folder` and hold it against other runs, which would write the same files.

    What a killed run left half written in the folder is removed, and so is the folder when
    nothing is in it in the end. Raises `CaptioningError` when another run has the folder.
    """
    folder = Path(folder)
    made = not folder.exists()
    try:
        with locked(folder / ".lock", folder, "name another folder"):
            for left in folder.iterdir():
                if re.fullmatch(r"\..+\.\d+(\.\w+)?", left.name) and left.is_file():
                    left.unlink(missing_ok=True)
            yield
    finally:
        with suppress(OSError):  # it isn't empty, or was never made
            if made:
                folder.rmdir()
