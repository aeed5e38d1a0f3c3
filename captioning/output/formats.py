"""Captions as rows of text, CSV, JSONL or HTML, and back: a row a photo, whole by itself.

Each format writes a caption as a row (`row`), says how a photo's name stands in it (`name`),
reads name and score back from a row (`read`), and marks a row as unsure or not (`marked`).
"""

import csv
import io
import json
import os
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from captioning.inference.captioner import Caption

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the start of a formula, full-width letters too, or drops before one.

https://owasp.org/www-community/attacks/CSV_Injection
"""


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Captions</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.4 system-ui, sans-serif }
body { margin: 0 auto; max-width: 90rem; padding: 1rem; display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)) }
h1 { grid-column: 1 / -1; margin: 0; font-size: 1.5rem }
figure { margin: 0; border-radius: .5rem; overflow: hidden; background: #8882;
  break-inside: avoid }
img { display: block; width: 100%; height: 15rem; object-fit: contain }
figcaption { padding: .6rem .9rem .8rem; font-weight: 600; overflow-wrap: anywhere }
small { display: block; font-weight: 400; opacity: .8 }
strong { color: #b34e06; color: light-dark(#a04405, #f2a162) }
.unsure { outline: .2rem dashed #c4580a; outline-offset: -.2rem }
@media print {
  body { padding: 0; gap: .6rem; grid-template-columns: repeat(3, 1fr); font-size: 9pt }
  img { height: 8rem }
}
</style>
<h1>Captions</h1>
"""


class Text:
    """`name<TAB>caption`, or with `named` false the caption alone; a name stays on its line."""

    header = ""

    def __init__(self, named: bool = True) -> None:
        self.named = named

    def name(self, photo: Path) -> str:
        """The name as it is, or as a JSON string where it wouldn't be one line of a terminal."""
        return _on_a_line(str(photo))

    def row(self, caption: Caption) -> str:
        """The line of a caption."""
        said = _on_a_line(caption.caption)
        return f"{self.name(caption.image)}\t{said}\n" if self.named else f"{said}\n"

    def read(self, row: str) -> tuple[str, float]:
        """Name and score, which text doesn't have: NaN."""
        name, _, said = row.partition("\t")
        if not said:
            raise ValueError("no tab in the line")
        return name, float("nan")

    def marked(self, row: str, unsure: bool) -> str:
        """The line, with a tab and the word unsure behind it or not."""
        row = row.removesuffix("\n").removesuffix("\tunsure")
        return row + ("\tunsure\n" if unsure else "\n")


class Table:
    """CSV of image, caption and score, and with `marks` a column unsure (yes, no).

    A cell that a spreadsheet would run as a formula gets a ' before it.
    """

    def __init__(self, marks: bool = False) -> None:
        self.columns = ["image", "caption", "score"] + ["unsure"] * marks
        self.header = self._line(self.columns)

    def name(self, photo: Path) -> str:
        """The name as its cell has it."""
        return _harmless(str(photo))

    def row(self, caption: Caption) -> str:
        """The row of a caption, its mark open. Names with line breaks stand in quotes."""
        cells = [self.name(caption.image), _harmless(caption.caption), f"{caption.score:.4f}", ""]
        return self._line(cells[: len(self.columns)])

    def read(self, row: str) -> tuple[str, float]:
        """Name and score."""
        name, _, score, *_ = self._cells(row)
        return name, float(score)

    def marked(self, row: str, unsure: bool) -> str:
        """The row with yes or no as its mark, if it has a place for it."""
        cells = [*self._cells(row)[:3], "yes" if unsure else "no"]
        return self._line(cells[: len(self.columns)])

    def _cells(self, row: str) -> list[str]:
        cells = next(csv.reader(io.StringIO(row, newline="")))
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells in a row of {len(self.columns)}")
        return cells

    def _line(self, cells: list[str]) -> str:
        line = io.StringIO(newline="")
        # Python's csv leaves a lone carriage return unquoted, and then can't read it.
        broken = any("\r" in cell for cell in cells)
        quoting = csv.QUOTE_ALL if broken else csv.QUOTE_MINIMAL
        csv.writer(line, lineterminator="\n", quoting=quoting).writerow(cells)
        return line.getvalue()


class JsonLines:
    """A JSON object a line: image, caption, score, and with `top` above 1 the best captions."""

    header = ""

    def __init__(self, top: int = 1) -> None:
        self.top = top

    def name(self, photo: Path) -> str:
        """The name as it is."""
        return str(photo)

    def row(self, caption: Caption) -> str:
        """The line of a caption."""
        row: dict[str, Any] = {
            "image": self.name(caption.image),
            "caption": caption.caption,
            "score": round(caption.score, 4),
        }
        if self.top > 1:
            row["captions"] = [
                {"caption": text, "score": round(score, 4)} for text, score in caption.best
            ]
        return json.dumps(row, ensure_ascii=False) + "\n"

    def read(self, row: str) -> tuple[str, float]:
        """Name and score."""
        value = json.loads(row)
        return str(value["image"]), float(value["score"])

    def marked(self, row: str, unsure: bool) -> str:
        """The line with "unsure" true or false."""
        return json.dumps(json.loads(row) | {"unsure": unsure}, ensure_ascii=False) + "\n"


class Page:
    """One HTML page without anything from elsewhere: each photo, linked relatively, with its alt
    text. `folder` is where the page lies.
    """

    header = PAGE
    _figure = re.compile(r'<figure(?: class="unsure")? data-score="([^"]*)"><a href="([^"]*)">')

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def name(self, photo: Path) -> str:
        """The link to the photo."""
        photo = Path(os.path.abspath(photo))  # noqa: PTH100  (symbolic links stay as they are)
        try:
            path = os.path.relpath(photo, self.folder)
        except ValueError:  # Windows: on another drive
            return photo.as_uri()
        return quote(os.fsencode(Path(path).as_posix()))

    def row(self, caption: Caption) -> str:
        """The line of a caption: a figure."""
        link, said = self.name(caption.image), escape(_on_a_line(caption.caption))
        return (
            f'<figure data-score="{caption.score:.4f}"><a href="{link}">'
            f'<img src="{link}" alt="{said}" loading="lazy"></a>'
            f"<figcaption>{said} <small>{escape(_on_a_line(str(caption.image)))}</small>"
            "</figcaption></figure>\n"
        )

    def read(self, row: str) -> tuple[str, float]:
        """Link and score."""
        found = self._figure.match(row)
        if not found:
            raise ValueError("no figure")
        return found[2], float(found[1])

    def marked(self, row: str, unsure: bool) -> str:
        """The line with a frame and the word unsure, or without."""
        plain, mark = (
            ("<figure data", "<figcaption>"),
            ('<figure class="unsure" data', "<figcaption><strong>unsure:</strong> "),
        )
        for less, more in zip(plain, mark, strict=True):
            row = row.replace(more, less, 1)
            row = row.replace(less, more, 1) if unsure else row
        return row


Rows = Text | Table | JsonLines | Page


def split_rows(text: str, quotes: bool = False) -> Iterator[str]:
    """The whole rows of a text with their line ends; what is left of a cut-off one is dropped.

    With `quotes`, as in CSV, a row goes on over line ends between double quotes.
    """
    row = ""
    for line in io.StringIO(text, newline="\n"):
        row += line
        if row.endswith("\n") and not (quotes and row.count('"') % 2):
            yield row
            row = ""


def unsure_of(scores: list[float], share: float) -> list[bool]:
    """For each caption whether it is in the share of those that the model is least sure of.

    scores: mean log-probability a word. share: 0 to 1 of the captions, rounded to whole ones.
    """
    order = sorted(range(len(scores)), key=scores.__getitem__)
    least = set(order[: round(share * len(scores))])
    return [place in least for place in range(len(scores))]


def _on_a_line(text: str) -> str:
    """The text itself, or a JSON string in ASCII where it has line breaks or the like in it."""
    return text if text.isprintable() and not text.startswith('"') else json.dumps(text)


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet runs, and that UTF-8 can hold."""
    cell = cell.encode("utf-8", "backslashreplace").decode("utf-8")
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
