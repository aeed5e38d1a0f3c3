"""Captions and photos in Parquet files and Arrow streams, read by pyarrow (the extra "parquet")."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from captioning.data.captions import choose_columns, no_column
from captioning.data.source import BrokenRow, CaptionRow, Columns, Rows
from captioning.vision.packed import PackedPhoto

_ROWS_AT_ONCE = 4096

_PARTS_KEPT = 2
"""Parts of files whose photos are kept in memory: the next photo is of the same, as a rule."""

_LOCK = Lock()  # two threads decode photos, and both would read the same part


class _Chosen(NamedTuple):
    """The columns that are read; is_packed: whether the photos' bytes are in the image column."""

    image: str
    captions: tuple[str, ...]
    split: str
    is_packed: bool
    has_paths: bool


def parquet_rows(path: Path, columns: Columns, packed: dict[str, PackedPhoto]) -> Rows:
    """The rows of a Parquet file; photos inside of it go into `packed`."""
    from pyarrow.parquet import ParquetFile

    def parts(file: Any, chosen: _Chosen) -> Iterator[tuple[int, int, Any]]:
        # The photos' bytes are left where they are.
        image = {(True, True): [f"{chosen.image}.path"], (True, False): []}.get(
            (chosen.is_packed, chosen.has_paths), [chosen.image]
        )
        names = [*image, *chosen.captions, *filter(None, [chosen.split])]
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
            yield from _rows_of(path, parts(file, chosen), chosen, packed, read_parquet_photo)

    return _or_broken(path, read)


def arrow_rows(path: Path, columns: Columns, packed: dict[str, PackedPhoto]) -> Rows:
    """The rows of an Arrow stream, as `datasets` writes it; photos inside go into `packed`."""

    def read() -> Rows:
        batches = _batches(path)
        if not batches:
            return
        chosen = _choose(path, batches[0].schema, columns)
        if isinstance(chosen, BrokenRow):
            yield chosen
            return
        parts = ((number, 0, batch) for number, batch in enumerate(batches))
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
    return _Chosen(image, captions, split, is_packed, "path" in inside)


def _rows_of(
    path: Path,
    parts: Iterator[tuple[int, int, Any]],
    chosen: _Chosen,
    packed: dict[str, PackedPhoto],
    reader: Callable[..., bytes],
) -> Rows:
    """The rows of (number of the part, its first row in that part, batch)."""
    own: dict[str, str] = {}  # the photos of this file: {name in the file: name in `packed`}
    number = 0
    for part, first, batch in parts:
        names = _names(batch, chosen)
        captions = [batch.column(c).to_pylist() for c in chosen.captions]
        splits = batch.column(chosen.split).to_pylist() if chosen.split else [""] * len(names)
        for row, (name, split) in enumerate(zip(names, splits, strict=True)):
            number += 1
            if chosen.is_packed:
                place = (part, first + row, chosen.image)
                name = name if isinstance(name, str) and name else f"{path.stem}-{number:06d}"
                if name not in own:
                    own[name] = name if name not in packed else f"{path.stem}/{name}"
                    packed[own[name]] = PackedPhoto(path, place, reader)
                name = own[name]
            texts = [t for column in captions for t in _texts(column[row])]
            if not isinstance(name, str) or not all(isinstance(t, str) for t in texts):
                problem = f"expected a photo and captions, got {name!r:.40} and {texts!r:.60}"
                yield BrokenRow(path, f"row {number}", problem)
                continue
            for text in texts:
                yield CaptionRow(name, text, split if isinstance(split, str) else "")


def _names(batch: Any, chosen: _Chosen) -> list[Any]:
    """The names of a batch's photos, None where there is none."""
    if not chosen.has_paths:
        if chosen.is_packed:
            return [None] * batch.num_rows
        return batch.column(chosen.image).to_pylist()
    return batch.column(chosen.image).field("path").to_pylist()


def _texts(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def read_parquet_photo(path: Path, group: int, row: int, column: str) -> bytes:
    """A photo's bytes out of a row group of a Parquet file. Raises OSError."""
    return _bytes_of(lambda: _row_group(path, group, column)[row])


def read_arrow_photo(path: Path, batch: int, row: int, column: str) -> bytes:
    """A photo's bytes out of a batch of an Arrow stream. Raises OSError."""
    return _bytes_of(lambda: _batches(path)[batch].column(column)[row])


def _bytes_of(cell: Callable[[], Any]) -> bytes:
    try:
        with _LOCK:
            value = cell().as_py()
    except (ValueError, RuntimeError, LookupError, TypeError) as error:
        raise OSError(f"cannot be read: {str(error)[:100]}") from None
    content = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(content, bytes):
        raise OSError("the row holds no photo")
    return content


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
