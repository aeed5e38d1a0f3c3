"""Text made safe for where it is written: one line of a terminal, a cell of a spreadsheet."""

import json

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the start of a formula, full-width characters too, or drops
before one: https://owasp.org/www-community/attacks/CSV_Injection
"""


def single_line(text: str) -> str:
    """The text itself, or a JSON string in ASCII if it has line breaks or control characters."""
    # A text that starts with a quote is written as JSON too: otherwise it could be mistaken for
    # the JSON of another text.
    return text if text.isprintable() and not text.startswith('"') else json.dumps(text)


def spreadsheet_cell(text: str) -> str:
    """The text as a cell that no spreadsheet runs as a formula, and that UTF-8 can encode.

    An apostrophe before it makes a spreadsheet show the text as it is. File names needn't be
    UTF-8: what isn't is written as an escape (backslash, u, four digits).
    """
    cell = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
