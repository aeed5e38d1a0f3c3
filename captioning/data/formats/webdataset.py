"""Tar shards as webdataset writes them: `photo.jpg` beside `photo.txt` or `photo.json`.

https://github.com/webdataset/webdataset: members with the same name up to the first dot in its
last part belong together. Photos stay in the shards and are read from there.
"""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from captioning.data.captions import object_rows
from captioning.data.photos import IMAGE_ENDINGS
from captioning.data.source import BrokenRow, CaptionRow, Columns, Listing, Rows, Source
from captioning.data.splits import split_in_name
from captioning.files.text import split_lines
from captioning.vision.packed import PackedPhoto, free_name

WHAT = "*.tar with photo.jpg and photo.txt or photo.json in it"

ONE_FILE = False

_LARGEST_TEXT, _LARGEST_PHOTO = 1 << 20, 1 << 30  # bytes of a member


class _Sample(NamedTuple):
    """What belongs together: {ending: (member, offset in the shard, bytes)}."""

    key: str
    members: dict[str, tuple[str, int, int]]


def find(listing: Listing) -> list[Path]:
    """The shards."""
    return listing.ending(".tar")


def read(files: list[Path], root: Path, columns: Columns) -> Source:
    """The photos with their captions. A shard's name may say the split."""
    packed: dict[str, PackedPhoto] = {}
    rows = (row for path in files for row in _rows(path, columns, packed))
    return Source("webdataset", files, rows, root, packed)


def _rows(shard: Path, columns: Columns, packed: dict[str, PackedPhoto]) -> Rows:
    split = split_in_name(shard.stem) or split_in_name(shard.parent.name)
    samples: dict[str, dict[str, tuple[str, int, int]]] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in _members(archive):
                folder, slash, name = member.name.rpartition("/")
                key, _, ending = name.partition(".")
                place = (member.name, member.offset_data, member.size)
                samples.setdefault(folder + slash + key, {})[ending.lower()] = place
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        problem = f"the shard is damaged or compressed: {error}"
        yield BrokenRow(shard, "the shard", problem, ends_file=True)
    for key, members in samples.items():
        yield from _sample_rows(shard, _Sample(key, members), columns, packed, split)


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The files in the archive; the list of them, which `tarfile` keeps, is emptied."""
    while (member := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined]
        if member.isreg() and not member.name.rpartition("/")[2].startswith("."):
            yield member


def _sample_rows(
    shard: Path, sample: _Sample, columns: Columns, packed: dict[str, PackedPhoto], split: str
) -> Rows:
    photos = [end for end in sample.members if f".{end}" in IMAGE_ENDINGS]
    if not photos:
        return
    name, offset, size = sample.members[photos[0]]
    name = free_name(name, shard, packed)  # another shard may have a photo of this name
    packed[name] = PackedPhoto(shard, (offset, min(size, _LARGEST_PHOTO)), read_member)
    for ending in ("txt", "caption", "json"):
        if ending in sample.members:
            member, offset, size = sample.members[ending]
            text = read_member(shard, offset, min(size, _LARGEST_TEXT))
            for row in _captions(text, ending, name, columns):
                if isinstance(row, str):
                    yield BrokenRow(shard, f"member {member}", row)
                else:
                    yield CaptionRow(name, row.caption, row.split or split)
            return


def _captions(raw: bytes, ending: str, name: str, columns: Columns) -> Iterator[CaptionRow | str]:
    """The captions of a member, or what is wrong with it."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        yield "not UTF-8 text"
        return
    if ending != "json":
        yield from (CaptionRow(name, line) for line in split_lines(text) if line.strip())
        return
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        yield f"not valid JSON ({error})"
        return
    if isinstance(value, list | str):  # the captions alone
        value = {"caption": value}
    own = value | {"image": name} if isinstance(value, dict) else value
    rows = object_rows(own, columns._replace(image="image"))
    yield from rows if rows is not None else ['expected an object with "caption"']


def read_member(shard: Path, offset: int, size: int) -> bytes:
    """The bytes of a member of a tar file. Raises OSError."""
    with shard.open("rb") as file:
        file.seek(offset)
        return file.read(size)
