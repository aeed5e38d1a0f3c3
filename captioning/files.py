"""Files that are whole or absent: everything is written beside its place, then renamed."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from captioning.errors import CaptioningError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it takes the name `path` only when all went well.

    Raises `CaptioningError` when the disk refuses (full, read-only); the old file stays whole.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The ending stays last: Keras and Matplotlib choose the format by it.
    beside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield beside
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


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_text(path: Path, what: str) -> str:
    """Give the text of a UTF-8 file; `what` names its role in the error when it can't be read."""
    try:
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


def read_json(path: Path, what: str) -> Any:
    """Give the content of a JSON file; raises `CaptioningError` with file and line."""
    try:
        return json.loads(read_text(path, what))
    except (json.JSONDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", "?")
        raise CaptioningError(f"{path}, line {line}: {what} is not valid JSON ({error})") from None
