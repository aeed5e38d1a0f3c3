"""A table of one's own: CSV, TSV, JSON lines or Parquet, a caption (or a list of them) a row."""

from pathlib import Path

from captioning.data.arrow import PackedPhotos, parquet_rows
from captioning.data.captions import json_line_rows, table_rows
from captioning.data.source import BrokenRow, CaptionRow, Columns, Listing, Rows, Source
from captioning.data.splits import split_in_name
from captioning.errors import CaptioningError
from captioning.files.text import read_lossy

WHAT = "a .csv, .tsv, .jsonl or .parquet with a column of photos and one of captions"

ONE_FILE = False

ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")


def find(listing: Listing) -> list[Path]:
    """The tables; several are one dataset if each is a split or a part of one."""
    return listing.ending(*ENDINGS)


def read(files: list[Path], root: Path, columns: Columns) -> Source:
    """All rows of all files. A file's own name may say the split, or its folder's."""
    parts = [path for path in files if _split_of(path, root) or "-of-" in path.stem]
    if len(files) > 1 and parts != files:
        raise CaptioningError(
            f"{root} has several tables: {', '.join(str(path) for path in files[:5])}; name one "
            "with --data"
        )
    packed = PackedPhotos()
    rows = (row for path in files for row in _rows(path, root, columns, packed))
    return Source("table", files, rows, root, packed.photos)


def _rows(path: Path, root: Path, columns: Columns, packed: PackedPhotos) -> Rows:
    split = _split_of(path, root)
    # Names are meant from the table's own folder, where that is one below.
    folder = path.parent.relative_to(root).as_posix() if path.is_relative_to(root) else "."
    for row in _rows_of(path, columns, packed):
        if isinstance(row, BrokenRow):
            yield row
            continue
        image, caption, own_split = row
        if folder != "." and (root / folder / image).is_file():
            image = f"{folder}/{image}"
        yield CaptionRow(image, caption, own_split or split)


def _split_of(path: Path, root: Path) -> str:
    """The split of train.csv, or of train/metadata.csv."""
    return split_in_name(path.stem) or (
        split_in_name(path.parent.name) if path.parent != root else ""
    )


def _rows_of(path: Path, columns: Columns, packed: PackedPhotos) -> Rows:
    ending = path.suffix.lower()
    if ending == ".parquet":
        return parquet_rows(path, columns, packed)
    if ending == ".jsonl":
        return json_line_rows(path, columns)
    return table_rows(path, columns, "\t" if ending == ".tsv" else _delimiter(path))


def _delimiter(path: Path) -> str:
    """What stands between the columns' names: commas, or what some countries' programs write."""
    header = read_lossy(path, "the table")[0].partition("\n")[0]
    return max(",;\t|", key=header.count)
