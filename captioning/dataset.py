"""The files of a captioning dataset -> photos, captions, splits, and what is odd about them."""

import csv
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from captioning.errors import CaptioningError, shown
from captioning.files import read_text
from captioning.text import clean_caption

SPLITS = ("train", "dev", "test")
IMAGE_ENDINGS = {
    ".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic",
    ".heif", ".jp2", ".mpo", ".ppm", ".pgm", ".pbm", ".tga", ".qoi",
}
_SPLIT_FILE = "Flickr_8k.{}Images.txt"
_TOKEN_FILE = "Flickr8k.token.txt"
_TABLES = ("captions.txt", "captions.csv")
CORRECTIONS = "corrections.jsonl"
"""What the app keeps of people's captions: objects a line, of image and caption among others."""

_UNESCAPED = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\\\": "\\"}
_ESCAPES = {ord(raw): escaped for escaped, raw in _UNESCAPED.items()}
"""How a tab, a line end or a backslash in a photo's name is written in `descriptions.txt`."""


@dataclass
class Dataset:
    """Photos with clean captions, by split, and everything that was passed over on the way.

    `captions` maps a photo's file name to its clean captions; `splits` maps "train", "dev" and
    "test" to file names that have both a photo and captions; `listed` maps them to all names
    that were asked for.
    """

    images: Path
    captions: dict[str, list[str]]
    splits: dict[str, list[str]]
    listed: dict[str, list[str]]
    photos: list[str]
    oddities: dict[str, list[str]] = field(default_factory=dict)

    def report(self) -> str:
        """A few lines for people: what was found, what was odd, by name."""
        rows = sum(map(len, self.captions.values()))
        lines = [f"{len(self.photos):,} photos, {rows:,} captions; in a split: " + ", ".join(
            f"{name} {len(photos):,}" for name, photos in self.splits.items()
        )]
        for what, names in self.oddities.items():
            if names:
                more = f", and {len(names) - 3:,} more" if len(names) > 3 else ""
                lines.append(f"  {what}: {len(names):,} ({', '.join(map(shown, names[:3]))}{more})")
        return "\n".join(lines)


def read_dataset(
    images: Path, text: Path, needed: tuple[str, ...] = ("train", "dev")
) -> Dataset:
    """Read and check a dataset: a folder of photos, and a folder with captions and splits.

    The captions are Flickr8k's `Flickr8k.token.txt` (rows `name.jpg#k<TAB>caption`) or a table
    `captions.txt`/`captions.csv` with the columns `image,caption`, or the app's
    `corrections.jsonl`. The splits are Flickr8k's
    lists; without any list, four photos of five train, by a checksum of the name. The splits
    `needed` must have photos.

    Raises `CaptioningError` naming the file (and line) that is missing, broken or empty.
    """
    photos = list_photos(images)
    raw = read_captions(text)
    captions, odd_rows, empty = _clean(raw)
    present = set(photos)
    usable = {name for name, rows in captions.items() if rows and name in present}
    wanted = read_splits(text, needed)
    no_lists = wanted is None
    if no_lists:
        wanted = split_by_name(sorted(usable))
    splits = {name: [p for p in listed if p in usable] for name, listed in wanted.items()}
    for name in needed:
        if not splits.get(name):
            raise CaptioningError(
                f"the {name} split is empty: of {len(wanted.get(name, ()))} photos that {text} "
                f"lists for it, none has both a file in {images} and a caption"
            )
    listed = {p for names in wanted.values() for p in names}
    oddities = {
        "rows whose name is no photo's": odd_rows,
        "captions without photo": sorted(set(captions) - present),
        "photos without captions": sorted(present - usable),
        "photos in no split": sorted(usable - listed),
        "in a split without photo or caption": sorted(listed - usable),
        "empty captions": empty,
        "photos in two splits": sorted(
            p for p, n in Counter(p for names in splits.values() for p in names).items() if n > 1
        ),
        "no split lists, split by name": ["4/5 train, 1/10 dev, 1/10 test"] if no_lists else [],
    }
    return Dataset(Path(images), captions, splits, wanted, photos, oddities)


def list_photos(folder: Path, recursive: bool = False) -> list[str]:
    """The names of the image files in a folder, sorted; with `recursive` as paths inside it.

    Raises `CaptioningError` when the folder is missing or holds no image file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CaptioningError(
            f"the folder of photos {folder} is missing; name another with --images, "
            "or fetch Flickr8k with: python features.py --download"
        )
    found = folder.rglob("*") if recursive else folder.iterdir()
    names = sorted(
        p.relative_to(folder).as_posix()
        for p in found
        if p.suffix.lower() in IMAGE_ENDINGS and not p.name.startswith(".")
    )
    if not names:
        raise CaptioningError(f"the folder {folder} holds no image file")
    return names


def read_captions(text: Path) -> list[tuple[str, str]]:
    """The rows (photo's file name, raw caption) of the caption file in the folder `text`.

    Raises `CaptioningError` naming file and line of a broken row.
    """
    path = caption_file(text)
    if path.name in _TABLES:
        return _table_rows(path)
    if path.name == CORRECTIONS:
        return _line_rows(path, correction_row, 'an object with "image" and "caption"')
    return _line_rows(path, token_row, "name.jpg#k<TAB>caption")


def caption_file(text: Path) -> Path:
    """The caption file in the folder `text`; raises `CaptioningError` when there is none."""
    text = Path(text)
    if not text.is_dir():
        raise CaptioningError(
            f"the folder of captions {text} is missing; name another with --text, "
            "or fetch Flickr8k with: python features.py --download"
        )
    for name in (_TOKEN_FILE, *_TABLES, CORRECTIONS):
        if (text / name).exists():
            return text / name
    raise CaptioningError(
        f"no captions in {text}: expected {_TOKEN_FILE} (rows name.jpg#k<TAB>caption) "
        f"or {_TABLES[0]} (columns image,caption) or {CORRECTIONS} (as app.py keeps it)"
    )


def _line_rows(
    path: Path, read: Callable[[str], tuple[str, str] | None], expected: str
) -> list[tuple[str, str]]:
    rows = []
    # split("\n"), not splitlines(): captions may hold Unicode line separators.
    for number, line in enumerate(read_text(path, "the caption file").split("\n"), 1):
        line = line.rstrip("\r")
        if not line.strip():
            continue
        row = read(line)
        if row is None:
            raise CaptioningError(f"{path}, line {number}: expected {expected}, got {line[:60]!r}")
        rows.append(row)
    if not rows:
        raise CaptioningError(f"the caption file {path} is empty")
    return rows


def token_row(line: str) -> tuple[str, str] | None:
    """Name and caption of a row `name.jpg#k<TAB>caption`; None for anything else."""
    key, tab, caption = line.partition("\t")
    name, mark, index = key.rpartition("#")
    return (name, caption) if tab and mark and name and index.isdecimal() else None


def correction_row(line: str) -> tuple[str, str] | None:
    """Name and caption of a line of `corrections.jsonl`; None for anything else."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    pair = (row.get("image"), row.get("caption")) if isinstance(row, dict) else ()
    return pair if pair and all(isinstance(text, str) and text for text in pair) else None


def _table_rows(path: Path) -> list[tuple[str, str]]:
    reader = csv.reader(io.StringIO(read_text(path, "the caption file"), newline=""))
    rows = []
    try:
        if [name.strip().lower() for name in next(reader, [])] != ["image", "caption"]:
            raise CaptioningError(f"{path}, line 1: expected the columns image,caption")
        for row in reader:
            if len(row) == 0:
                continue
            if len(row) != 2 or not row[0]:
                raise CaptioningError(
                    f"{path}, line {reader.line_num}: expected image,caption, got {row[:3]!r}"
                )
            rows.append((row[0], row[1]))
    except csv.Error as error:
        raise CaptioningError(f"{path}, line {reader.line_num}: {error}") from None
    if not rows:
        raise CaptioningError(f"the caption file {path} is empty")
    return rows


def _clean(rows: list[tuple[str, str]]) -> tuple[dict[str, list[str]], list[str], list[str]]:
    """Clean captions by photo; the odd names (`x.jpg.1`); the photos of empty captions."""
    captions: dict[str, list[str]] = {}
    odd, empty = [], []
    for name, raw in rows:
        if re.search(r"\.\w+\.\d+$", name):
            odd.append(name)
            continue
        caption = clean_caption(raw)
        kept = captions.setdefault(name, [])
        if caption:
            kept.append(caption)
        else:
            empty.append(name)
    return captions, odd, empty


def read_splits(
    text: Path, needed: tuple[str, ...] = ("train", "dev")
) -> dict[str, list[str]] | None:
    """The photos of each split as Flickr8k's lists name them; None where there is no list.

    A photo listed twice in one list counts once. Raises `CaptioningError` for a `needed` list
    that is missing or empty.
    """
    files = {split: Path(text) / _SPLIT_FILE.format(split) for split in SPLITS}
    if not any(path.exists() for path in files.values()):
        return None
    splits = {}
    for split, path in files.items():
        if path.exists() or split in needed:
            lines = read_text(path, f"the list of the {split} split").split("\n")
            splits[split] = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
            if not splits[split] and split in needed:
                raise CaptioningError(f"the list of the {split} split {path} is empty")
    return splits


def split_by_name(names: list[str]) -> dict[str, list[str]]:
    """Share photos out by a checksum of their names: 8 of 10 train, 1 dev, 1 test.

    A photo stays in its split when others come or go, on any machine.
    """
    splits: dict[str, list[str]] = {split: [] for split in SPLITS}
    for name in names:
        place = zlib.crc32(name.encode()) % 10
        splits["train" if place < 8 else "dev" if place == 8 else "test"].append(name)
    return splits


def write_descriptions(captions: dict[str, list[str]]) -> str:
    """The text of `descriptions.txt`: a row `name.jpg<TAB>clean caption` for each caption.

    Tabs, line ends and backslashes in names are written \\t, \\n, \\r and \\\\.
    """
    return "".join(
        f"{name.translate(_ESCAPES)}\t{row}\n" for name, rows in captions.items() for row in rows
    )


def read_descriptions(path: Path) -> dict[str, list[str]]:
    """Read `descriptions.txt` back: `{file name: [clean caption, ...]}`.

    Raises `CaptioningError` naming the line that is no `name<TAB>caption`.
    """
    captions: dict[str, list[str]] = {}
    for number, line in enumerate(read_text(path, "the clean captions").split("\n"), 1):
        if not line.strip():
            continue
        name, tab, caption = line.rstrip("\r").partition("\t")
        if not tab or not name:
            raise CaptioningError(
                f"{path}, line {number}: expected name.jpg<TAB>caption, got {line[:60]!r}"
            )
        name = re.sub(r"\\[tnr\\]", lambda found: _UNESCAPED[found[0]], name)
        captions.setdefault(name, []).append(caption)
    return captions
