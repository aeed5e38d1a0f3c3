"""Flickr30k: `results_20130124.token`, or Kaggle's `results.csv` with `|` between the columns."""

import re
from pathlib import Path

from captioning.data.captions import broken_lines, token_rows
from captioning.data.source import BrokenRow, CaptionRow, Columns, Listing, Rows, Source
from captioning.files.text import read_lossy, split_lines

WHAT = "results_20130124.token or results.csv"

ONE_FILE = True

_COLUMNS = "image_name| comment_number| comment"


def find(listing: Listing) -> list[Path]:
    """One of the two files; the token file where there are both."""
    tokens = [path for path in listing.ending(".token") if path.name.startswith("results")]
    return tokens or listing.named("results.csv")


def read(files: list[Path], root: Path, columns: Columns) -> Source:
    """Rows `name.jpg#k<TAB>caption`, or `name.jpg| k| caption`."""
    rows = token_rows if files[0].suffix == ".token" else _bar_rows
    return Source("flickr30k", files, rows(files[0]), root)


def _bar_rows(path: Path) -> Rows:
    """The rows of `results.csv`, which is no CSV: quotes have no meaning in it."""
    text, not_utf8 = read_lossy(path, "the caption file")
    yield from broken_lines(path, not_utf8)
    header, *lines = split_lines(text)
    if header.replace(" ", "") != _COLUMNS.replace(" ", ""):
        problem = f"expected {_COLUMNS}, got {header[:60]!r}"
        yield BrokenRow(path, "line 1", problem, ends_file=True)
        return
    for number, line in enumerate(lines, 2):
        # The published file has one row, of 2199200615.jpg, without the second bar: "|4   A dog".
        found = re.fullmatch(r"([^|]+)\|\s*\d+(?:\s*\||\s\s)(.*)", line)
        if found and found[1].strip():
            yield CaptionRow(found[1].strip(), found[2])
        elif line.strip():
            problem = f"expected {_COLUMNS}, got {line[:60]!r}"
            yield BrokenRow(path, f"line {number}", problem)
