"""The app's captions as a table to download."""

import csv
import io
from collections.abc import Iterable

from captioning.output.escaping import spreadsheet_cell


def alt_text_table(rows: Iterable[tuple[str, str]]) -> str:
    """CSV of (image, alt text) with a header; no cell can be taken for a formula."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(["image", "alt_text"])
    table.writerows([map(spreadsheet_cell, row) for row in rows])
    return text.getvalue()
