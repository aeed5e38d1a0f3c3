"""Text and JSON files: written whole, read with limits and with the line in every error."""

import json
from pathlib import Path
from typing import Any

from captioning.errors import CaptioningError
from captioning.files.whole import written_whole

LARGEST_TEXT = 1 << 30
"""Text files of more bytes are refused before they are read."""


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with Unix line ends, whole or not at all."""
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


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
