"""Captions in text files: Flickr8k's rows, tables, JSON lines; and the folder that holds one."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from captioning.data.photos import check_photos_folder
from captioning.data.source import BrokenRow, CaptionRow, Columns, Rows, Source
from captioning.errors import CaptioningError, command_line
from captioning.files.folders import check_folder
from captioning.files.text import read_lossy, split_lines

_TOKEN_FILE = "Flickr8k.token.txt"

_TABLES = ("captions.txt", "captions.csv")

CORRECTIONS = "corrections.jsonl"
"""Where the app keeps people's captions: JSON objects, one a line, with "image" and "caption"."""

_USUAL_NAMES = {
    "image": "image image_name image_path image_file file_name filename file filepath path photo "
    "img name key",
    "caption": "caption captions comment text sentence sentences description descriptions",
    "split": "split",
}
"""The columns, in the order of preference, that are taken where none are named."""

_FILE_NAMES = ("file_name", "filename", "image_name", "img_name", "image_path", "filepath", "path")

_NUMBERED = re.compile(r"(?:caption|comment|sentence|description|text)[ _-]?\d+", re.IGNORECASE)
"""Columns of several captions a photo: caption_0, caption_1."""

_TEXT_KEYS = ("raw", "caption", "text")
"""Where an object among the captions holds its text: Karpathy's sentences have it as "raw"."""

_IMAGE_ENDING = r"\.(?:jpe?g|png|gif|webp|bmp|tiff?)"


def open_folders(images: Path, text: Path) -> Source:
    """The dataset of a folder of photos and one with captions, as Flickr8k comes.

    The captions are Flickr8k's `Flickr8k.token.txt` (rows `name.jpg#k<TAB>caption`) or a table
    `captions.txt`/`captions.csv` with the columns `image,caption`, or the app's
    `corrections.jsonl`. Raises `CaptioningError` when there is none, or none can be read.
    """
    check_photos_folder(images)
    path = caption_file(text)
    kind = {_TOKEN_FILE: "flickr8k", CORRECTIONS: "the app's corrections"}.get(path.name, "kaggle")
    return Source(kind, [path], text_rows(path), Path(images), all_photos=True)


def read_captions(text: Path) -> list[tuple[str, str]]:
    """The rows (photo's file name, raw caption) of the caption file in the folder `text`.

    Raises `CaptioningError` naming file and line of a broken row.
    """
    path = caption_file(text)
    rows = []
    for row in text_rows(path):
        if isinstance(row, BrokenRow):
            raise CaptioningError(str(row))
        rows.append((row.image, row.caption))
    if not rows:
        raise CaptioningError(f"the caption file {path} is empty")
    return rows


def caption_file(text: Path) -> Path:
    """The caption file in the folder `text`; raises `CaptioningError` when there is none."""
    text = Path(text)
    other = (
        f"name another with --text, or fetch Flickr8k with: {command_line('features')} --download"
    )
    check_folder(text, "the folder of captions", other)
    for name in (_TOKEN_FILE, *_TABLES, CORRECTIONS):
        if (text / name).exists():
            return text / name
    raise CaptioningError(
        f"no captions in {text}: expected {_TOKEN_FILE} (rows name.jpg#k<TAB>caption) "
        f"or {_TABLES[0]} (columns image,caption) or {CORRECTIONS} (as the app keeps it); {other}"
    )


def text_rows(path: Path) -> Rows:
    """Every row of a caption file of `open_folders`; its name tells its format."""
    if path.name in _TABLES:
        return table_rows(path)
    return json_line_rows(path) if path.name == CORRECTIONS else token_rows(path)


def token_rows(path: Path) -> Rows:
    """The rows `name.jpg#k<TAB>caption` of Flickr8k's and Flickr30k's token files."""
    return _line_rows(path, _token_row, "name.jpg#k<TAB>caption")


def json_line_rows(path: Path, columns: Columns | None = None) -> Rows:
    """The rows of a file with a JSON object a line; a caption may be a list of several.

    columns: the objects' keys.
    """
    wanted = columns or Columns()
    usual = 'an object with "image" and "caption"'
    named = f"an object with {wanted.image!r} and {', '.join(map(repr, wanted.captions))}"

    def parse(line: str) -> list[CaptionRow] | None:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):  # brackets nested without end are a RecursionError
            return None
        return object_rows(value, wanted)

    return _line_rows(path, parse, named if wanted.image and wanted.captions else usual)


def object_rows(value: Any, columns: Columns) -> list[CaptionRow] | None:
    """The captions of a photo that a JSON object tells; None if it's no such object."""
    if not isinstance(value, dict):
        return None
    try:
        image, captions, split = choose_columns(list(value), columns)
    except KeyError:
        return None
    name = value[image]
    texts = [text for key in captions for text in texts_in(value[key])]
    is_valid = isinstance(name, str) and name and texts and all(isinstance(t, str) for t in texts)
    if not is_valid or "" in texts and len(texts) == 1:
        return None
    own_split = value[split] if split else ""
    return [CaptionRow(name, t, own_split if isinstance(own_split, str) else "") for t in texts]


def texts_in(value: Any) -> list[Any]:
    """The captions of a cell: a text, a list of texts, or objects that hold such as "raw"."""
    found: list[Any] = []
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            each = next((each[key] for key in _TEXT_KEYS if key in each), each)
        found.extend(each if isinstance(each, list) else [each])
    return found


def name_column(header: list[str], but: str) -> str:
    """The column of the photos' names where the column `but` holds photos without; "" for none."""
    lower = {name.strip().lower(): name for name in reversed(header) if name != but}
    return next((lower[usual] for usual in _FILE_NAMES if usual in lower), "")


def choose_columns(header: list[str], columns: Columns) -> tuple[str, tuple[str, ...], str]:
    """The columns of the photo's name, its captions and its split ("" without one).

    columns: those that were asked for, by their whole names; the others are found by usual names.
    Raises KeyError with the kind of column that there is none of, or the name.
    """
    lower = {name.strip().lower(): name for name in reversed(header)}

    def find(kind: str, named: str) -> str:
        if named:
            if named not in header:
                raise KeyError(named)
            return named
        for usual in _USUAL_NAMES[kind].split():
            if usual in lower:
                return lower[usual]
        raise KeyError(kind)

    image = find("image", columns.image)
    numbered = [name for name in header if _NUMBERED.fullmatch(name.strip())]
    if not columns.captions and numbered:
        captions = tuple(numbered)
    else:
        captions = tuple(find("caption", name) for name in columns.captions or ("",))
    has_split = columns.split or "split" in lower
    return image, captions, find("split", columns.split) if has_split else ""


def _line_rows(path: Path, parse: Callable[[str], list[CaptionRow] | None], expected: str) -> Rows:
    text, not_utf8 = read_lossy(path, "the caption file")
    yield from broken_lines(path, not_utf8)
    for number, line in enumerate(split_lines(text), 1):
        if line.strip():
            rows = parse(line)
            if rows is None:
                problem = f"expected {expected}, got {line[:60]!r}"
                yield BrokenRow(path, f"line {number}", problem)
            else:
                yield from rows


def broken_lines(path: Path, numbers: list[int]) -> Iterator[BrokenRow]:
    """The lines that are not UTF-8."""
    for number in numbers:
        problem = "not UTF-8 text; save the file as UTF-8"
        yield BrokenRow(path, f"line {number}", problem, not_utf8=True)


def _token_row(line: str) -> list[CaptionRow] | None:
    key, tab, caption = line.partition("\t")
    name, mark, index = key.rpartition("#")
    return [CaptionRow(name, caption)] if tab and mark and name and index.isdecimal() else None


def table_rows(path: Path, columns: Columns | None = None, delimiter: str = ",") -> Rows:
    """The rows of a table whose first row names its columns, read strictly: CSV as RFC 4180 has it.

    A quote that is never closed would take the rows after it for one caption.
    """
    text, not_utf8 = read_lossy(path, "the caption file")
    yield from broken_lines(path, not_utf8)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    began = 1
    try:
        header = next(reader, [])
        try:
            image, captions, split = choose_columns(header, columns or Columns())
        except KeyError as missing:
            problem = no_column(missing.args[0], header)
            yield BrokenRow(path, "line 1", problem, ends_file=True)
            return
        places = header.index(image), [header.index(c) for c in captions]
        split_place = header.index(split) if split else -1
        began = reader.line_num + 1
        for row in reader:
            first, began = began, reader.line_num + 1
            if not row:
                continue
            problem = _problem(row, header, row[places[0]] if len(row) == len(header) else "")
            if problem:
                yield BrokenRow(path, f"line {first}", problem)
                continue
            own_split = row[split_place] if split else ""
            for place in places[1]:
                yield CaptionRow(row[places[0]], row[place], own_split)
    except csv.Error as error:
        # The reader has lost its place: it can't tell where the next row begins.
        yield BrokenRow(path, f"line {began}", _why(error), ends_file=True)


def no_column(missing: str, header: list[str]) -> str:
    """Why a table can't be read whose columns don't tell which of them is which."""
    option = {"image": "--image-column", "caption": "--caption-column"}.get(missing)
    names = ", ".join(repr(name[:30]) for name in header[:8]) or "nothing"
    if option is None:
        return f"there is no column {missing!r} among {names}"
    return (
        f"expected the columns image,caption, got {names}: no column is known as that of the "
        f"{missing}s; name it with {option}, or write a first row with the names"
    )


def _problem(row: list[str], header: list[str], name: str) -> str:
    """What is wrong with a row; "" if nothing is."""
    if len(row) != len(header):
        return f"expected {','.join(header)[:60]}, got {len(row)} columns: {row[:3]!r}"
    if not name.strip():
        return f"the photo's name is empty: {row[:3]!r}"
    swallowed = next((cell for cell in row if _SWALLOWED.search(cell)), "")
    if swallowed:
        return (
            f"a quote that is not closed takes the next rows into this caption: {swallowed[:60]!r}"
        )
    return ""


_SWALLOWED = re.compile(rf"[\r\n][^\r\n,;|\t]*{_IMAGE_ENDING}\s*[,;|\t]", re.IGNORECASE)
"""A line end and what looks like the beginning of a row, inside of a cell."""


def _why(error: csv.Error) -> str:
    reason = str(error)
    if "unexpected end of data" in reason:
        return "a quote that is opened here is never closed"
    if "expected after" in reason:
        return (
            "after a quote that closes there must come the next column; write quotes inside of a "
            f'caption twice ("") ({reason})'
        )
    return reason
