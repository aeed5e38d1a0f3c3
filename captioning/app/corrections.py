"""What people make of captions: corrections kept as lines of JSON, and a table of alt texts."""

import csv
import io
import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from captioning.errors import CaptioningError
from captioning.output.formats import FORMULA_STARTS

_one_at_a_time = Lock()


def keep_correction(path: Path, image: str, caption: str, model_caption: str) -> None:
    """Append a correction to the file `path`: image, caption, the model's caption and the time.

    Each line is whole and on the disk when this returns. Raises `CaptioningError` when the disk
    refuses.
    """
    row = {
        "image": image,
        "caption": caption,
        "model_caption": model_caption,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        with _one_at_a_time, Path(path).open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CaptioningError(f"cannot write {path}: {error.strerror or error}") from error


def alt_text_table(rows: Iterable[tuple[str, str]]) -> str:
    """CSV of (image, alt text), with a head; no cell can be taken for a formula."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(["image", "alt_text"])
    table.writerows([map(neutral, row) for row in rows])
    return text.getvalue()


def neutral(cell: str) -> str:
    """The cell, with an apostrophe before what a spreadsheet would run as a formula."""
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
