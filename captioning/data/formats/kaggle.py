"""Flickr8k as Kaggle has it: `captions.txt` with the columns image,caption, beside `Images/`."""

from pathlib import Path

from captioning.data.captions import table_rows
from captioning.data.source import Columns, Listing, Source

WHAT = "captions.txt or captions.csv with the columns image,caption"

ONE_FILE = True


def find(listing: Listing) -> list[Path]:
    """The table."""
    return listing.named("captions.txt", "captions.csv")


def read(files: list[Path], root: Path, columns: Columns) -> Source:
    """Rows of a table with commas."""
    return Source("kaggle", files, table_rows(files[0], columns), root)
