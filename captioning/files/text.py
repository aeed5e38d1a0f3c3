"""Text and JSON files: written completely or not at all, read with limits, errors with lines."""

import json
from pathlib import Path
from typing import Any

from captioning.errors import CaptioningError
from captioning.files.whole import written_whole

LARGEST_TEXT = 1 << 30
"""Text files of more bytes are refused before they are read."""


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with Unix line ends; raises as `written_whole`."""
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON; raises as `written_whole`."""
    write_text(path, json_text(value, indent=1) + "\n")


def json_text(value: Any, indent: int | None = None) -> str:
    """`value` as JSON that can be written as UTF-8.

    File names needn't be UTF-8. Python holds bytes that aren't as lone surrogates, which can't be
    encoded; JSON's escape \\uXXXX for them is read back as the same name.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def read_text(path: Path, what: str, largest: int = LARGEST_TEXT) -> str:
    """Give the text of a UTF-8 file; a byte-order mark is dropped.

    what: the file's role, for messages. Raises `CaptioningError` when it is missing, can't be
    read, isn't UTF-8 (with the line), or has more than `largest` bytes (before it is read).
    """
    raw = _read_bytes(path, what, largest)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise CaptioningError(
            f"{path}, line {line}: not UTF-8 text; save the file as UTF-8"
        ) from None


def read_lossy(path: Path, what: str, largest: int = LARGEST_TEXT) -> tuple[str, list[int]]:
    """The text of a file that should be UTF-8, and the lines, from 1, that are not.

    What isn't becomes U+FFFD. Raises `CaptioningError` as `read_text` otherwise.
    """
    raw = _read_bytes(path, what, largest)
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        lines = raw.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    texts, wrong = [], []
    # Line by line, because decoding the whole would stop at the first line that isn't UTF-8.
    for number, line in enumerate(lines, 1):
        try:
            texts.append(line.decode())
        except UnicodeDecodeError:
            wrong.append(number)
            texts.append(line.decode(errors="replace"))
    return "\n".join(texts), wrong


def split_lines(text: str) -> list[str]:
    """The lines of a text with the line ends of any system, those of old Macs, \\r, among them."""
    # Not splitlines(): captions may hold Unicode line separators, and a stray \r.
    lines = text.split("\n" if "\n" in text else "\r")
    return [line.rstrip("\r") for line in lines]


def _read_bytes(path: Path, what: str, largest: int) -> bytes:
    try:
        if Path(path).stat().st_size > largest:
            raise CaptioningError(f"{what} {path} has more than {largest:,} bytes")
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise CaptioningError(f"{what} {path} is missing") from None
    except OSError as error:
        raise CaptioningError(f"cannot read {what} {path}: {error.strerror}") from None


def read_json(path: Path, what: str, largest: int = LARGEST_TEXT) -> Any:
    """Give the content of a JSON file.

    Raises `CaptioningError` as `read_text`, and with the line when it isn't valid JSON.
    """
    try:
        return json.loads(read_text(path, what, largest))
    except (ValueError, RecursionError) as error:
        # Not JSONDecodeError alone: a number of 5,000 digits is another ValueError, and [[[[... a
        # RecursionError; both without a line.
        line = getattr(error, "lineno", "?")
        raise CaptioningError(f"{path}, line {line}: {what} is not valid JSON ({error})") from None
