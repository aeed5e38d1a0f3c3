"""What a reader of a dataset's format gives: rows, and where the photos are."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from captioning.vision.packed import PackedPhoto, Photo


class CaptionRow(NamedTuple):
    """A caption as a dataset has it: the photo's name, the raw caption, and perhaps its split."""

    image: str
    caption: str
    split: str = ""


class BrokenRow(NamedTuple):
    """What should be a caption and is none.

    place: in the file, as "line 3" or "annotation 7"; not_utf8: whether its bytes are at fault,
    in which case the row itself may follow all the same; ends_file: whether nothing more of the
    file can be read.
    """

    file: Path
    place: str
    problem: str
    not_utf8: bool = False
    ends_file: bool = False

    def __str__(self) -> str:
        return f"{self.file}, {self.place}: {self.problem}"


Rows = Iterator[CaptionRow | BrokenRow]


class Columns(NamedTuple):
    """Which columns, or keys, hold what; empty: those of a usual name."""

    image: str = ""
    captions: tuple[str, ...] = ()
    split: str = ""


@dataclass
class Source:
    """A dataset to be read.

    format: its name; files: that hold the captions; rows: all of them, once; images: the folder
    of photos; packed: photos inside of `files`, complete when `rows` has ended; all_photos:
    whether photos without captions are encoded, too.
    """

    format: str
    files: list[Path]
    rows: Rows
    images: Path
    packed: dict[str, PackedPhoto] = field(default_factory=dict)
    all_photos: bool = False

    def photo(self, name: str) -> Photo:
        """Where a photo is read from."""
        return self.packed.get(name) or self.images / name


@dataclass(frozen=True)
class Listing:
    """The files of a folder that may be a dataset, or the one file that was named.

    files: paths inside of `root`, sorted, hidden ones left out.
    """

    root: Path
    files: list[str]
    is_file: bool = False

    def ending(self, *endings: str) -> list[Path]:
        """Those files whose names end so, in any case."""
        return [self.root / name for name in self.files if name.lower().endswith(endings)]

    def named(self, *names: str) -> list[Path]:
        """Those files that are called so, in whatever folder."""
        return [self.root / name for name in self.files if name.rpartition("/")[2] in names]


class Format(Protocol):
    """A module of `captioning.data.formats`; its name is the format's name.

    WHAT: by which files a dataset of this format is recognised, for people; ONE_FILE: whether each
    of several such files is a dataset of its own.
    """

    WHAT: str
    ONE_FILE: bool

    def find(self, listing: Listing) -> list[Path]:
        """The files that hold the captions, [] where this isn't the format."""
        ...

    def read(self, files: list[Path], root: Path, columns: Columns) -> Source:
        """The dataset; root: of the photos. Raises `CaptioningError` where there can't be one."""
        ...
