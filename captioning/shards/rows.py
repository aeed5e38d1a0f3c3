"""The rows of a shard as a file's bytes: the same rows give the same bytes."""

import io
import json
from typing import Any

FORMATS = ("jsonl", "parquet")

COLUMNS = {"key": "string", "caption": "string", "score": "double", "familiar": "double"}
"""Of the rows of captions, with their types in Parquet; "error" is last in all rows."""


def as_bytes(rows: list[dict[str, Any]], format_: str) -> bytes:
    """The rows as JSON Lines or as Parquet."""
    if format_ == "parquet":
        return _parquet(rows)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    # A file name that isn't UTF-8 is written with escapes, which JSON reads back.
    return text.encode("utf-8", "backslashreplace")


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    # A file name that isn't UTF-8 can't be a string of Parquet's: its bytes are escaped.
    for row in rows:
        row["key"] = row["key"].encode("utf-8", "backslashreplace").decode()
    names = [*COLUMNS, "error"] if not rows or "caption" in rows[0] else ["key", "error"]
    # The types are given, not guessed: a shard of errors alone has the same columns as others.
    schema = pyarrow.schema([(n, pyarrow.type_for_alias(COLUMNS.get(n, "string"))) for n in names])
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema), file)
    return file.getvalue()
