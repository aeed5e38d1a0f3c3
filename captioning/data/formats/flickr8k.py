"""Flickr8k as it is published: `Flickr8k.token.txt`, and lists of the splits beside it."""

from pathlib import Path

from captioning.data.captions import token_rows
from captioning.data.source import Columns, Listing, Source

WHAT = "Flickr8k.token.txt"

ONE_FILE = True


def find(listing: Listing) -> list[Path]:
    """The token file."""
    return listing.named("Flickr8k.token.txt")


def read(files: list[Path], root: Path, columns: Columns) -> Source:
    """Rows `name.jpg#k<TAB>caption`."""
    return Source("flickr8k", files, token_rows(files[0]), root)
