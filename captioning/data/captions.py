"""The caption file of a dataset: where it is, and its rows."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from captioning.errors import CaptioningError, command_line
from captioning.files.folders import check_folder
from captioning.files.text import read_text

_TOKEN_FILE = "Flickr8k.token.txt"

_TABLES = ("captions.txt", "captions.csv")

CORRECTIONS = "corrections.jsonl"
"""Where the app keeps people's captions: JSON objects, one a line, with "image" and "caption"."""


@dataclass(frozen=True)
class CaptionRow:
    """A row of a caption file: a photo's file name and its raw caption, or why it is none.

    line: from 1, the last one of a row that has several; pair: (name, caption), or None for a
    broken row; problem: what is wrong with it; is_last: nothing after it can be read.
    """

    line: int
    pair: tuple[str, str] | None
    problem: str = ""
    is_last: bool = False


def read_captions(text: Path) -> list[tuple[str, str]]:
    """The rows (photo's file name, raw caption) of the caption file in the folder `text`.

    Raises `CaptioningError` naming file and line of a broken row.
    """
    path = caption_file(text)
    content = read_text(path, "the caption file")
    if path.name in _TABLES:
        _check_columns(path, content)
    rows = []
    for row in parse_captions(path.name, content):
        if row.pair is None:
            raise CaptioningError(f"{path}, line {row.line}: {row.problem}")
        rows.append(row.pair)
    if not rows:
        raise CaptioningError(f"the caption file {path} is empty")
    return rows


def caption_file(text: Path) -> Path:
    """The caption file in the folder `text`; raises `CaptioningError` when there is none."""
    text = Path(text)
    check_folder(
        text,
        "the folder of captions",
        f"name another with --text, or fetch Flickr8k with: {command_line('features')} --download",
    )
    for name in (_TOKEN_FILE, *_TABLES, CORRECTIONS):
        if (text / name).exists():
            return text / name
    raise CaptioningError(
        f"no captions in {text}: expected {_TOKEN_FILE} (rows name.jpg#k<TAB>caption) "
        f"or {_TABLES[0]} (columns image,caption) or {CORRECTIONS} (as the app keeps it)"
    )


def parse_captions(file_name: str, content: str) -> Iterator[CaptionRow]:
    """Every row of a caption file's content, the broken ones too; `file_name` tells its format.

    Raises nothing for what it finds: `read_captions` refuses the first broken row, the checks of
    a dataset report all of them. The columns' names in the first row of a table are skipped.
    """
    if file_name in _TABLES:
        return _table_rows(content)
    if file_name == CORRECTIONS:
        return _line_rows(content, _correction_row, 'an object with "image" and "caption"')
    return _line_rows(content, _token_row, "name.jpg#k<TAB>caption")


def _line_rows(
    content: str, parse: Callable[[str], tuple[str, str] | None], expected: str
) -> Iterator[CaptionRow]:
    # split("\n"), not splitlines(): captions may hold Unicode line separators.
    for number, line in enumerate(content.split("\n"), 1):
        line = line.rstrip("\r")
        if line.strip():
            yield CaptionRow(number, parse(line), f"expected {expected}, got {line[:60]!r}")


def _token_row(line: str) -> tuple[str, str] | None:
    """Name and caption of a row `name.jpg#k<TAB>caption`; None for anything else."""
    key, tab, caption = line.partition("\t")
    name, mark, index = key.rpartition("#")
    return (name, caption) if tab and mark and name and index.isdecimal() else None


def _correction_row(line: str) -> tuple[str, str] | None:
    """Name and caption of a line of `corrections.jsonl`; None for anything else."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):  # brackets nested without end are a RecursionError
        return None
    if not isinstance(row, dict):
        return None
    name, caption = row.get("image"), row.get("caption")
    if not isinstance(name, str) or not isinstance(caption, str):
        return None
    return (name, caption) if name and caption else None


def _table_rows(content: str) -> Iterator[CaptionRow]:
    reader = csv.reader(io.StringIO(content, newline=""))
    try:
        for number, row in enumerate(reader):
            if number == 0 or not row:  # the columns' names, an empty line
                continue
            pair = (row[0], row[1]) if len(row) == 2 and row[0] else None
            yield CaptionRow(reader.line_num, pair, f"expected image,caption, got {row[:3]!r}")
    except csv.Error as error:
        # The reader has lost its place: it can't tell where the next row begins.
        yield CaptionRow(reader.line_num, None, str(error), is_last=True)


def _check_columns(path: Path, content: str) -> None:
    """Raise `CaptioningError` for a table whose first row isn't image,caption."""
    reader = csv.reader(io.StringIO(content, newline=""))
    try:
        columns = next(reader, [])
    except csv.Error as error:
        raise CaptioningError(f"{path}, line {reader.line_num}: {error}") from None
    if [name.strip().lower() for name in columns] != ["image", "caption"]:
        raise CaptioningError(f"{path}, line 1: expected the columns image,caption")
