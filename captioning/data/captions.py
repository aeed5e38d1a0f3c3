"""The files of a captioning dataset -> photos, captions, splits, and what is odd about them."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.text import read_text

_TOKEN_FILE = "Flickr8k.token.txt"


_TABLES = ("captions.txt", "captions.csv")


CORRECTIONS = "corrections.jsonl"
"""What the app keeps of people's captions: objects a line, of image and caption among others."""


def read_captions(text: Path) -> list[tuple[str, str]]:
    """The rows (photo's file name, raw caption) of the caption file in the folder `text`.

    Raises `CaptioningError` naming file and line of a broken row.
    """
    path = caption_file(text)
    if path.name in _TABLES:
        return _table_rows(path)
    if path.name == CORRECTIONS:
        return _line_rows(path, correction_row, 'an object with "image" and "caption"')
    return _line_rows(path, token_row, "name.jpg#k<TAB>caption")


def caption_file(text: Path) -> Path:
    """The caption file in the folder `text`; raises `CaptioningError` when there is none."""
    text = Path(text)
    if not text.is_dir():
        raise CaptioningError(
            f"the folder of captions {text} is missing; name another with --text, "
            "or fetch Flickr8k with: python features.py --download"
        )
    for name in (_TOKEN_FILE, *_TABLES, CORRECTIONS):
        if (text / name).exists():
            return text / name
    raise CaptioningError(
        f"no captions in {text}: expected {_TOKEN_FILE} (rows name.jpg#k<TAB>caption) "
        f"or {_TABLES[0]} (columns image,caption) or {CORRECTIONS} (as app.py keeps it)"
    )


def _line_rows(
    path: Path, read: Callable[[str], tuple[str, str] | None], expected: str
) -> list[tuple[str, str]]:
    rows = []
    # split("\n"), not splitlines(): captions may hold Unicode line separators.
    for number, line in enumerate(read_text(path, "the caption file").split("\n"), 1):
        line = line.rstrip("\r")
        if not line.strip():
            continue
        row = read(line)
        if row is None:
            raise CaptioningError(f"{path}, line {number}: expected {expected}, got {line[:60]!r}")
        rows.append(row)
    if not rows:
        raise CaptioningError(f"the caption file {path} is empty")
    return rows


def token_row(line: str) -> tuple[str, str] | None:
    """Name and caption of a row `name.jpg#k<TAB>caption`; None for anything else."""
    key, tab, caption = line.partition("\t")
    name, mark, index = key.rpartition("#")
    return (name, caption) if tab and mark and name and index.isdecimal() else None


def correction_row(line: str) -> tuple[str, str] | None:
    """Name and caption of a line of `corrections.jsonl`; None for anything else."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    pair = (row.get("image"), row.get("caption")) if isinstance(row, dict) else ()
    return pair if pair and all(isinstance(text, str) and text for text in pair) else None


def _table_rows(path: Path) -> list[tuple[str, str]]:
    reader = csv.reader(io.StringIO(read_text(path, "the caption file"), newline=""))
    rows = []
    try:
        if [name.strip().lower() for name in next(reader, [])] != ["image", "caption"]:
            raise CaptioningError(f"{path}, line 1: expected the columns image,caption")
        for row in reader:
            if len(row) == 0:
                continue
            if len(row) != 2 or not row[0]:
                raise CaptioningError(
                    f"{path}, line {reader.line_num}: expected image,caption, got {row[:3]!r}"
                )
            rows.append((row[0], row[1]))
    except csv.Error as error:
        raise CaptioningError(f"{path}, line {reader.line_num}: {error}") from None
    if not rows:
        raise CaptioningError(f"the caption file {path} is empty")
    return rows
