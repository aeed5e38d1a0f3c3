"""A folder of photos with a text file beside each, as trainers of image models lay it.

`photo.txt` (or `photo.caption`, or `photo.jpg.txt` as this program writes it) beside `photo.jpg`: a
line is a caption. Folders `train`, `val` and `test` at the top are the splits.
"""

from pathlib import Path, PurePosixPath

from captioning.data.captions import broken_lines
from captioning.data.photos import IMAGE_ENDINGS
from captioning.data.source import CaptionRow, Columns, Listing, Rows, Source
from captioning.data.splits import split_in_name
from captioning.files.text import read_lossy, split_lines

WHAT = "photo.txt beside photo.jpg"

ONE_FILE = False

_LARGEST = 1 << 20  # bytes of a photo's text file


def find(listing: Listing) -> list[Path]:
    """The text files that have a photo beside them."""
    if listing.is_file:
        return []
    photos = {name for name in listing.files if _ending(name) in IMAGE_ENDINGS}
    stems = photos | {name.removesuffix(PurePosixPath(name).suffix) for name in photos}
    texts = [name for name in listing.files if _ending(name) in (".txt", ".caption")]
    return [listing.root / name for name in texts if name.rpartition(".")[0] in stems]


def read(files: list[Path], root: Path, columns: Columns) -> Source:
    """The lines of all text files."""
    return Source("folder", files, (row for path in files for row in _rows(path, root)), root)


def _rows(path: Path, root: Path) -> Rows:
    text, not_utf8 = read_lossy(path, "the caption file", _LARGEST)
    yield from broken_lines(path, not_utf8)
    inside = path.relative_to(root)
    split = split_in_name(inside.parts[0]) if len(inside.parts) > 1 else ""
    # Names are matched without the photo's ending, too; that of most is tried first.
    beside = inside.with_suffix(".jpg")
    name = (beside if (root / beside).is_file() else inside.with_suffix("")).as_posix()
    for line in split_lines(text):
        if line.strip():
            yield CaptionRow(name, line, split)


def _ending(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
