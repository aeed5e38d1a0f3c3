"""Captions and photos in Parquet files and Arrow streams, read by pyarrow (the extra "parquet")."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from captioning.data.captions import choose_columns, name_column, no_column, texts_in
from captioning.data.source import BrokenRow, CaptionRow, Columns, Rows
from captioning.vision.packed import PackedPhoto, free_name

_ROWS_AT_ONCE = 4096

_PARTS_KEPT = 2
"""Parts of files whose photos are kept in memory: the next photo is of the same, as a rule."""

_LOCK = Lock()  # two threads decode photos, and both would read the same part


class _Chosen(NamedTuple):
    """The columns that are read; is_packed: whether the photos' bytes are in the image column.

    names: the column of the photos' names, for those whose image has none; "" without one.
    """

    image: str
    captions: tuple[str, ...]
    split: str
    is_packed: bool
    has_paths: bool
    names: str

    def columns_of_names(self) -> list[str]:
        """What is read to know the photos' names; their bytes are left where they are."""
        if not self.is_packed:
            return [self.image]
        paths = [f"{self.image}.path"] if self.has_paths else []
        return [*paths, *filter(None, [self.names])]


_Parts = Callable[[list[str]], Iterator[tuple[int, int, Any]]]
"""(number of the part, its first row in that part, batch) of the columns that are named."""


@dataclass
class PackedPhotos:
    """Photos inside of the files of one dataset.

    photos: {name: where it is}; by_content: {(name in its file, digest): name in `photos`} of those
    photos whose name its file has several times.
    """

    photos: dict[str, PackedPhoto] = field(default_factory=dict)
    by_content: dict[tuple[str, bytes], str] = field(default_factory=dict)

    def add(self, name: str, photo: PackedPhoto, is_repeated: bool) -> str:
        """The name in `photos`; is_repeated: the photo may be one that is there already.

        The same photo has a row a caption in some datasets; in others, different photos lost the
        folders that told their names apart.
        """
        key = (name, _digest(photo)) if is_repeated else None
        if key in self.by_content:
            return self.by_content[key]
        own = free_name(name, photo.archive, self.photos)
        self.photos[own] = photo
        if key:
            self.by_content[key] = own
        return own


def _digest(photo: PackedPhoto) -> bytes:
    try:
        return hashlib.blake2b(photo.read_bytes(), digest_size=16).digest()
    except OSError:
        return b""  # it's told when it is to be encoded


def parquet_rows(path: Path, columns: Columns, packed: PackedPhotos) -> Rows:
    """The rows of a Parquet file; photos inside of it go into `packed`."""
    from pyarrow.parquet import ParquetFile

    def parts(file: Any, names: list[str]) -> Iterator[tuple[int, int, Any]]:
        for group in range(file.num_row_groups):
            first = 0
            for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=names):
                yield group, first, batch
                first += batch.num_rows

    def read() -> Rows:
        with ParquetFile(path) as file:
            chosen = _choose(path, file.schema_arrow, columns)
            if isinstance(chosen, BrokenRow):
                yield chosen
                return
            yield from _rows_of(path, partial(parts, file), chosen, packed, read_parquet_photo)

    return _or_broken(path, read)


def arrow_rows(path: Path, columns: Columns, packed: PackedPhotos) -> Rows:
    """The rows of an Arrow stream, as `datasets` writes it; photos inside go into `packed`."""

    def read() -> Rows:
        batches = _batches(path)
        if not batches:
            return
        chosen = _choose(path, batches[0].schema, columns)
        if isinstance(chosen, BrokenRow):
            yield chosen
            return

        def parts(names: list[str]) -> Iterator[tuple[int, int, Any]]:
            return ((number, 0, batch) for number, batch in enumerate(batches))

        yield from _rows_of(path, parts, chosen, packed, read_arrow_photo)

    return _or_broken(path, read)


def _or_broken(path: Path, read: Callable[[], Rows]) -> Rows:
    """The rows, up to where the file is damaged."""
    try:
        yield from read()
    except ModuleNotFoundError:
        raise  # the command says which extra brings pyarrow
    # pyarrow's errors are also of these kinds.
    except (OSError, ValueError, RuntimeError, LookupError, TypeError, MemoryError) as error:
        reason = str(error).split("\n")[0][:200]
        yield BrokenRow(path, "the file", f"cannot be read: {reason}", ends_file=True)


def _choose(path: Path, schema: Any, columns: Columns) -> _Chosen | BrokenRow:
    """Which columns hold what, and how the photos are there."""
    from pyarrow import types

    try:
        image, captions, split = choose_columns(schema.names, columns)
    except KeyError as missing:
        problem = no_column(missing.args[0], schema.names)
        return BrokenRow(path, "the columns", problem, ends_file=True)
    kind = schema.field(image).type
    inside = [kind.field(i).name for i in range(kind.num_fields)] if types.is_struct(kind) else []
    is_packed = "bytes" in inside or types.is_binary(kind) or types.is_large_binary(kind)
    if not is_packed and types.is_struct(kind) and "path" not in inside:
        problem = f"the column {image!r} is no photo and no name of one, but {kind}"
        return BrokenRow(path, "the columns", problem, ends_file=True)
    names = name_column(schema.names, but=image) if is_packed else ""
    return _Chosen(image, captions, split, is_packed, "path" in inside, names)


def _rows_of(
    path: Path,
    parts: _Parts,
    chosen: _Chosen,
    packed: PackedPhotos,
    reader: Callable[..., bytes],
) -> Rows:
    """The rows of a file that is read in parts."""
    counts: Counter[str] = Counter()
    if chosen.is_packed and chosen.columns_of_names():
        for _, _, batch in parts(chosen.columns_of_names()):
            counts.update(filter(None, _names(batch, chosen)))
    number = 0
    columns = [*chosen.columns_of_names(), *chosen.captions, *filter(None, [chosen.split])]
    for part, first, batch in parts(list(dict.fromkeys(columns))):
        names = _names(batch, chosen)
        captions = [batch.column(c).to_pylist() for c in chosen.captions]
        splits = batch.column(chosen.split).to_pylist() if chosen.split else [""] * len(names)
        for row, (name, split) in enumerate(zip(names, splits, strict=True)):
            number += 1
            if chosen.is_packed:
                photo = PackedPhoto(path, (part, first + row, chosen.image), reader)
                name = packed.add(name or f"{path.stem}-{number:06d}", photo, counts[name] > 1)
            texts = [t for column in captions for t in texts_in(column[row]) if t is not None]
            if not name or not isinstance(name, str) or not all(isinstance(t, str) for t in texts):
                problem = f"expected a photo and captions, got {name!r:.40} and {texts!r:.60}"
                yield BrokenRow(path, f"row {number}", problem)
                continue
            for text in texts:
                yield CaptionRow(name, text, split if isinstance(split, str) else "")


def _names(batch: Any, chosen: _Chosen) -> list[Any]:
    """The names of a batch's photos; of packed ones, "" where there is none."""
    if not chosen.is_packed and not chosen.has_paths:
        return batch.column(chosen.image).to_pylist()
    names = [""] * batch.num_rows
    if chosen.has_paths:
        names = batch.column(chosen.image).field("path").to_pylist()
    if chosen.names and not all(names):
        others = batch.column(chosen.names).to_pylist()
        names = [name or other for name, other in zip(names, others, strict=True)]
    return [name if isinstance(name, str) else "" for name in names]


def read_parquet_photo(path: Path, group: int, row: int, column: str) -> bytes:
    """A photo's bytes out of a row group of a Parquet file. Raises OSError."""
    return _bytes_of(path, lambda: _row_group(path, group, column)[row])


def read_arrow_photo(path: Path, batch: int, row: int, column: str) -> bytes:
    """A photo's bytes out of a batch of an Arrow stream. Raises OSError."""
    return _bytes_of(path, lambda: _batches(path)[batch].column(column)[row])


def _bytes_of(path: Path, cell: Callable[[], Any]) -> bytes:
    try:
        with _LOCK:
            value = cell().as_py()
    except (ValueError, RuntimeError, LookupError, TypeError) as error:
        raise OSError(f"cannot be read: {str(error)[:100]}") from None
    content = value.get("bytes") if isinstance(value, dict) else value
    if content is None and isinstance(value, dict) and isinstance(value.get("path"), str):
        return _file_named(path.parent / value["path"])  # `datasets` keeps only where it is
    if not isinstance(content, bytes):
        raise OSError("the row holds no photo")
    return content


def _file_named(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except ValueError as error:  # a name that no file can have
        raise OSError(str(error)) from None


@lru_cache(_PARTS_KEPT)
def _row_group(path: Path, group: int, column: str) -> Any:
    """A column of a row group, `pyarrow.ChunkedArray`."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        return file.read_row_group(group, columns=[column]).column(column)


@lru_cache(64)
def _batches(path: Path) -> list[Any]:
    """The batches of an Arrow stream, mapped from the file, not read."""
    import pyarrow

    with pyarrow.ipc.open_stream(pyarrow.memory_map(str(path))) as stream:
        batches = list(stream)
    for batch in batches:
        batch.validate(full=True)  # or places outside of the file would be read
    return batches
