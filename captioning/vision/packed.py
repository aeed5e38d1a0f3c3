"""Photos that aren't files of their own: members of tar shards, cells of Parquet files."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class PackedPhoto(NamedTuple):
    """A photo inside of another file, read when it is wanted.

    archive: that file; place: where in it, as its reader counts, or its
    bytes; reader: gives the photo's bytes,
    `reader(archive, *place)`, and may raise OSError.
    """

    archive: Path
    place: tuple[int | str | bytes, ...]
    reader: Callable[..., bytes]

    def read_bytes(self) -> bytes:
        """The photo's bytes, a file of an image format. Raises OSError."""
        return self.reader(self.archive, *self.place)


Photo = Path | PackedPhoto
"""Where a photo is read from."""
