"""Files that are whole or absent: everything is written beside its place, then renamed."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from captioning.errors import CaptioningError

LARGEST_TEXT = 1 << 30
"""Text files of more bytes are refused before they are read."""


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


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with Unix line ends, whole or not at all."""
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_text(path, json_text(value, indent=1) + "\n")


def json_text(value: Any, indent: int | None = None) -> str:
    """`value` as JSON that can be written as UTF-8.

    File names needn't be UTF-8: what can't be written as text is written as JSON's \\uXXXX.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def read_text(path: Path, what: str, largest: int = LARGEST_TEXT) -> str:
    """Give the text of a UTF-8 file; `what` names its role in the error when it can't be read.

    A file of more than `largest` bytes is refused before it is read.
    """
    try:
        if Path(path).stat().st_size > largest:
            raise CaptioningError(f"{what} {path} has more than {largest:,} bytes")
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        raise CaptioningError(f"{what} {path} is missing") from None
    except OSError as error:
        raise CaptioningError(f"cannot read {what} {path}: {error.strerror}") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise CaptioningError(
            f"{path}, line {line}: not UTF-8 text; save the file as UTF-8"
        ) from None


def read_json(path: Path, what: str, largest: int = LARGEST_TEXT) -> Any:
    """Give the content of a JSON file; raises `CaptioningError` with file and line."""
    try:
        return json.loads(read_text(path, what, largest))
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError
        line = getattr(error, "lineno", "?")
        raise CaptioningError(f"{path}, line {line}: {what} is not valid JSON ({error})") from None
