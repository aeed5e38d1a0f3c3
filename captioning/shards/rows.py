"""The rows of a shard as a file's bytes: the same rows give the same bytes."""

import io
import json
from collections.abc import Sequence
from typing import Any

FORMATS = ("jsonl", "parquet")

NUMBERS = ("score", "familiar")
"""Columns that hold numbers; others hold text, and "captions" a list of captions and scores."""


def as_bytes(rows: list[dict[str, Any]], format_: str, columns: Sequence[str]) -> bytes:
    """The rows as JSON Lines or as Parquet. columns: the names in each row."""
    if format_ == "parquet":
        return _parquet(rows, columns)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    # A file name that isn't UTF-8 is written with escapes, which JSON reads back.
    return text.encode("utf-8", "backslashreplace")


def _parquet(rows: list[dict[str, Any]], columns: Sequence[str]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    # A file name that isn't UTF-8 can't be a string of Parquet's: its bytes are escaped.
    for row in rows:
        row["key"] = row["key"].encode("utf-8", "backslashreplace").decode()
    # The types are given, not guessed: a shard of errors alone has the same columns as others.
    one = pyarrow.struct({"caption": pyarrow.string(), "score": pyarrow.float64()})
    types = {"captions": pyarrow.list_(one), **dict.fromkeys(NUMBERS, pyarrow.float64())}
    schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in columns])
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema), file)
    return file.getvalue()
