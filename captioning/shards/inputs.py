"""What the input is, and its shards: a folder, a list of files, tar shards, Parquet tables."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from captioning.errors import CaptioningError
from captioning.shards.places import RAISED, files_at, first_line, is_local, read_bytes
from captioning.shards.shard import Shard, is_photo, photo_at
from captioning.vision.packed import PackedPhoto

IMAGE_COLUMNS = (
    *("image", "jpg", "jpeg", "png", "webp", "bytes", "image_bytes", "path", "image_path"),
    *("filepath", "file_name", "filename", "image_file", "file", "photo", "img", "name"),
)
"""Columns of a Parquet table that are taken for the photos, the first that is there."""

KEY_COLUMNS = ("key", "__key__")


@dataclass(frozen=True)
class Input:
    """The input, cut into shards.

    place: where it is, for messages and to be compared; kind: as in `Shard`; keys: a digest of
    all keys where they are the input itself (a folder's photos, a list), "" for files of shards,
    which may become more.
    """

    place: str
    kind: str
    shards: list[Shard]
    keys: str = ""


@dataclass(frozen=True)
class Cut:
    """How the input is cut: photos a shard, and a table's columns, "" for the usual ones."""

    size: int = 1000
    image: str = ""
    key: str = ""


def read_input(place: str, cut: Cut) -> Input:
    """The shards of a folder, a list (.txt), tar or Parquet files, or a pattern (`*.tar`) of them.

    Raises `CaptioningError` when there is nothing, for shards of mixed kinds, and for keys that
    occur twice (in tar files they show when they are read).
    """
    files, path = files_at(place)
    try:
        if files.isdir(path):
            return _of_files(place, files, path, sorted(files.find(path)), cut)
        if files.exists(path):
            if path.lower().endswith(".txt"):
                return _of_list(place, path, cut)
            return _of_files(place, files, path.rpartition("/")[0], [path], cut)
        if any(letter in path for letter in "*?["):
            found = sorted(files.glob(path))
            return _of_files(place, files, path.rpartition("/")[0], found, cut)
    except RAISED as error:
        raise CaptioningError(f"cannot read the input {place}: {first_line(error)}") from None
    raise CaptioningError(f"there is no input {place}")


def _of_files(place: str, files: Any, root: str, paths: Sequence[str], cut: Cut) -> Input:
    """The input of these files: tar shards, tables or photos."""
    tars = [p for p in paths if p.lower().endswith(".tar")]
    stems = {p.rpartition(".")[0] for p in tars}
    # img2dataset writes beside each tar a table of the same name about its photos.
    tables = [
        p for p in paths if p.lower().endswith(".parquet") and p.rpartition(".")[0] not in stems
    ]
    photos = [p for p in paths if is_photo(p.rpartition("/")[2])]
    kinds = {"tar shards": tars, "Parquet tables": tables, "photos": photos}
    there = {what: found for what, found in kinds.items() if found}
    if len(there) > 1:
        many = ", ".join(f"{len(found):,} {what}" for what, found in there.items())
        one = " and ".join(found[0] for found in there.values())
        raise CaptioningError(
            f"{place} is of mixed kinds: {many} ({one}); name those of one kind, as "
            f"{place.rstrip('/')}/*.tar"
        )
    if not there:
        raise CaptioningError(f"{place} holds no tar shards, no Parquet tables and no photos")
    scheme = "" if is_local(place) else place.partition("://")[0] + "://"
    if tars:
        shards = [
            Shard(name, "tar", scheme + p, files.size(p)) for name, p in _named(tars, root).items()
        ]
        return Input(_absolute(place), "tar", shards)
    if tables:
        named = _named(tables, root).items()
        shards = [s for name, p in named for s in _of_table(scheme + p, name, files.size(p), cut)]
        return Input(_absolute(place), "parquet", shards)
    keys = [p[len(root) :].lstrip("/") for p in photos]
    return _of_keys(place, scheme + root, keys, cut)


def _of_list(place: str, path: str, cut: Cut) -> Input:
    """The input of a list: a path a line, in the list's folder, absolute, or a URL."""
    text = read_bytes(place).decode("utf-8-sig", "surrogateescape")
    keys = [line for line in (raw.rstrip("\r") for raw in text.split("\n")) if line.strip()]
    if not keys:
        raise CaptioningError(f"the list {place} is empty; it wants the path of a photo a line")
    folder = _absolute(place).rpartition("/")[0]
    first = photo_at(folder, keys[0])
    if not isinstance(first, PackedPhoto) and not first.exists():
        raise CaptioningError(
            f"{place}, line 1: there is no file {first}; a list's paths are absolute, or begin in "
            "the list's own folder"
        )
    return _of_keys(place, folder, keys, cut)


def _of_keys(place: str, source: str, keys: list[str], cut: Cut) -> Input:
    check_once(keys, place)
    digest = sha256("\n".join(keys).encode("utf-8", "surrogateescape")).hexdigest()
    shards = [
        Shard(f"{number:05d}", "paths", source, keys=tuple(keys[start : start + cut.size]))
        for number, start in enumerate(range(0, len(keys), cut.size))
    ]
    return Input(_absolute(place), "paths", shards, digest)


def check_once(keys: Iterable[str], place: str) -> None:
    """Raise `CaptioningError` for keys that occur twice."""
    keys = list(keys)
    if len(set(keys)) < len(keys):
        twice = [key for key, times in Counter(keys).items() if times > 1]
        raise CaptioningError(
            f"{len(twice):,} keys occur more than once in {place}, {twice[0]!r} among them; "
            "results could not be told apart"
        )


def _named(paths: Sequence[str], root: str) -> dict[str, str]:
    """{name of the results: path}: the file's own name, with its folders where names repeat."""
    stems = [p.rpartition("/")[2].rpartition(".")[0] for p in paths]
    if len(set(stems)) < len(stems):
        inside = [p[len(root) :].lstrip("/").rpartition(".")[0] for p in paths]
        stems = [name.replace("/", "-") for name in inside]
    if len(set(stems)) < len(stems):  # a/b.tar and a-b.tar
        stems = [f"{number:05d}-{stem}" for number, stem in enumerate(stems)]
    return dict(zip(stems, paths, strict=True))


def _of_table(place: str, name: str, size: int, cut: Cut) -> Iterator[Shard]:
    """The shards of a Parquet file; one of a damaged file, of which no row can be read."""
    from pyarrow.parquet import ParquetFile

    whole = Shard(name, "parquet", place, size)
    files, path = files_at(place)
    try:
        with files.open(path, "rb") as file:
            table = ParquetFile(file)
            image, key = _columns(table.schema_arrow, place, cut)
            rows = table.metadata.num_rows
            if key:
                column = table.read(columns=[key]).column(key).to_pylist()
                check_once(map(str, column), place)
    except RAISED as error:
        if isinstance(error, OSError) and error.errno:
            raise
        yield whole
        return
    for number, first in enumerate(range(0, rows, cut.size)):
        count = min(cut.size, rows - first)
        own = name if rows <= cut.size else f"{name}-{number:05d}"
        yield replace(whole, name=own, first=first, count=count, image=image, key=key)


def _columns(schema: Any, place: str, cut: Cut) -> tuple[str, str]:
    """The columns of photos and keys, "" where keys are paths or numbers."""
    for named in filter(None, (cut.image, cut.key)):
        if named not in schema.names:
            columns = ", ".join(schema.names[:12])
            raise CaptioningError(f"{place} has no column {named!r}, but {columns}")
    image = cut.image or next((c for c in IMAGE_COLUMNS if c in schema.names), "")
    if not image:
        raise CaptioningError(
            f"{place} has no column of photos that is known by its name, but "
            f"{', '.join(schema.names[:12])}; name it with --image-column"
        )
    key = cut.key or next((c for c in KEY_COLUMNS if c in schema.names), "")
    from pyarrow import types

    kind = schema.field(image).type
    if not key and (types.is_string(kind) or types.is_large_string(kind)):
        key = image  # paths: each is to be there once
    return image, key


def _absolute(place: str) -> str:
    return files_at(place)[1] if is_local(place) else place
