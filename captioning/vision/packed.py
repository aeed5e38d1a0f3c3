"""Photos that aren't files of their own: members of tar shards, cells of Parquet files."""

from collections.abc import Callable, Container
from itertools import count
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


def free_name(name: str, archive: Path, taken: Container[str]) -> str:
    """The photo's name, with as much of its archive's path before it as tells it from `taken`.

    Shards in folders train, val and test often have the same names, and so have their photos.
    """
    folders = [part for part in archive.with_suffix("").parts if part != archive.anchor]
    longer = ("/".join([*folders[len(folders) - n :], name]) for n in range(len(folders) + 1))
    numbered = (f"{number}/{name}" for number in count(2))
    free = next((found for found in longer if found not in taken), None)
    return free or next(found for found in numbered if found not in taken)
