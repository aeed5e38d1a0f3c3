"""A shard: so many photos of the input that are done together, and reading them one by one."""

import errno
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captioning.data.photos import IMAGE_ENDINGS
from captioning.errors import CaptioningError
from captioning.shards.places import RAISED, files_at, first_line, is_local, read_bytes
from captioning.vision.packed import PackedPhoto, Photo

LARGEST_PHOTO = 1 << 30
"""Bytes of a photo in a tar file; a larger one isn't read."""

_ROWS_AT_ONCE = 64

_NO_BLOCK = bytes(512)
"""What a tar file ends with: one that was cut off at a member's end lacks it."""


class DamagedError(CaptioningError):
    """A shard that is cut off or damaged; what came before is good."""


@dataclass(frozen=True)
class Shard:
    """Some photos of the input.

    name: of its files in the output; kind: "paths", "tar" or "parquet"; source: the folder that
    `keys` are paths in, or the tar or Parquet file; size: bytes of that file; first, count: its
    rows; image, key: the columns of the photos and of their keys, "" without.
    """

    name: str
    kind: str
    source: str
    size: int = 0
    keys: tuple[str, ...] = ()
    first: int = 0
    count: int = 0
    image: str = ""
    key: str = ""


def photos_of(shard: Shard) -> Iterator[tuple[str, Photo]]:
    """The shard's photos with their keys, in order; at most a few are in memory.

    Raises `DamagedError` after the last photo that can be read of a damaged file, and another
    `CaptioningError` for a file that can't be opened, or has a key twice.
    """
    readers = {"paths": _in_paths, "tar": _in_tar, "parquet": _in_parquet}
    return readers[shard.kind](shard)


def unreadable(key: str, reason: str) -> PackedPhoto:
    """A photo that can't be read, for this reason."""
    return PackedPhoto(Path(key), (reason,), _raise)


def photo_at(source: str, key: str) -> Photo:
    """The photo of a path in a folder; a path may also be absolute, or a URL."""
    place = key if "://" in key else f"{source.rstrip('/')}/{key}"
    if key.startswith("/") and is_local(source):
        place = key
    if is_local(place):
        return Path(place.removeprefix("file://"))
    return PackedPhoto(Path(place), (place,), _fetch)


def _in_paths(shard: Shard) -> Iterator[tuple[str, Photo]]:
    return ((key, photo_at(shard.source, key)) for key in shard.keys)


def _in_tar(shard: Shard) -> Iterator[tuple[str, Photo]]:
    seen: set[str] = set()
    with _opened(shard.source) as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as archive:
                for member in _members(archive):
                    if member.name in seen:
                        raise CaptioningError(
                            f"two photos in {shard.source} have the key {member.name}"
                        )
                    seen.add(member.name)
                    yield member.name, _photo_in(archive, member, shard.source)
                file.seek(archive.offset)
                if file.read(512) != _NO_BLOCK:
                    raise DamagedError("it has no end, and may be half there")
        except (tarfile.TarError, EOFError, *RAISED) as error:
            raise _broken(shard, "damaged, cut off or compressed", error) from None


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The photos in the archive; the list of members, which `tarfile` keeps, is emptied."""
    while (member := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined]
        name = member.name.rpartition("/")[2]
        if member.isreg() and not name.startswith(".") and is_photo(name):
            yield member


def _photo_in(archive: tarfile.TarFile, member: tarfile.TarInfo, source: str) -> PackedPhoto:
    if member.size > LARGEST_PHOTO:
        return unreadable(member.name, f"{member.size:,} bytes are more than {LARGEST_PHOTO:,}")
    content = archive.extractfile(member)
    assert content is not None  # as it's a file
    raw = content.read()
    if len(raw) < member.size:
        raise DamagedError(f"it ends within {member.name}")
    return PackedPhoto(Path(source, member.name), (raw,), _itself)


def _in_parquet(shard: Shard) -> Iterator[tuple[str, Photo]]:
    from pyarrow.parquet import ParquetFile

    with _opened(shard.source) as file:
        try:
            table = ParquetFile(file)
            row, end = 0, shard.first + shard.count
            for group in range(table.num_row_groups):
                rows = table.metadata.row_group(group).num_rows
                if row + rows > shard.first and row < end:
                    yield from _in_group(table, group, row, shard)
                row += rows
        except (LookupError, TypeError, *RAISED) as error:
            raise _broken(shard, "damaged", error) from None


def _in_group(table: Any, group: int, row: int, shard: Shard) -> Iterator[tuple[str, Photo]]:
    """The photos of a row group whose first row is `row` of the file."""
    columns = [shard.image, *filter(None, [shard.key])]
    for batch in table.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=columns):
        start, stop = max(0, shard.first - row), min(len(batch), shard.first + shard.count - row)
        first, row = row, row + len(batch)
        if stop <= start:
            continue
        cells = batch.slice(start, stop - start).to_pydict()
        images = cells[shard.image]
        keys = cells[shard.key] if shard.key else [None] * len(images)
        for place, (image, key) in enumerate(zip(images, keys, strict=True), first + start):
            yield row_photo(shard.source, place, image, key)


def row_photo(source: str, row: int, image: Any, key: Any) -> tuple[str, Photo]:
    """The key and photo of a row, from 0. image: its path, its bytes, or both in a dictionary."""
    path = image.get("path") if isinstance(image, dict) else image
    content = image.get("bytes") if isinstance(image, dict) else image
    if key is None:
        stem = source.rpartition("/")[2].removesuffix(".parquet")
        key = path if isinstance(path, str) and path else f"{stem}-{row + 1:06d}"
    name = str(key)
    if isinstance(content, bytes):
        return name, PackedPhoto(Path(source, name), (content,), _itself)
    if isinstance(path, str) and path:
        return name, photo_at(source.rpartition("/")[0], path)
    return name, unreadable(name, "the row holds no photo")


def is_photo(name: str) -> bool:
    """Whether a file is taken for a photo, by its ending."""
    return f".{name.rpartition('.')[2].lower()}" in IMAGE_ENDINGS


def _opened(place: str) -> Any:
    files, path = files_at(place)
    try:
        return files.open(path, "rb")
    except RAISED as error:
        raise CaptioningError(f"cannot open {place}: {first_line(error)}") from None


def _broken(shard: Shard, what: str, error: BaseException) -> CaptioningError:
    """What to raise: a disk or a network that fails now may work later, a damaged file doesn't."""
    if isinstance(error, OSError) and error.errno:  # pyarrow's own have no number
        return CaptioningError(f"cannot read {shard.source}: {first_line(error)}")
    return DamagedError(f"{what}: {first_line(error)}")


def _itself(_: Path, content: bytes) -> bytes:
    return content


def _fetch(_: Path, place: str) -> bytes:
    try:
        return read_bytes(place)
    except FileNotFoundError:
        raise
    except Exception as error:  # of whatever package reads such places
        raise OSError(errno.EIO, first_line(error)) from None


def _raise(_: Path, reason: str) -> bytes:
    raise OSError(errno.EIO, reason)
