"""Captions as rows of text, CSV or JSON; each class is a `RowFormat`."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from captioning.inference.captioner import Caption
from captioning.output.escaping import single_line, spreadsheet_cell


class TextFormat:
    """`name<TAB>caption`, or the caption alone if `named` is false; always a single line."""

    header = ""
    multiline = False

    def __init__(self, named: bool = True) -> None:
        self.named = named

    def name_of(self, photo: Path) -> str:
        """The path as it is, or as a JSON string if it wouldn't fit on one line of a terminal."""
        return single_line(str(photo))

    def row_of(self, caption: Caption) -> str:
        """The line of a caption."""
        text = single_line(caption.caption)
        return f"{self.name_of(caption.image)}\t{text}\n" if self.named else f"{text}\n"

    def parse(self, row: str) -> tuple[str, float]:
        """Name, and NaN: text holds no score."""
        name, tab, _ = row.partition("\t")
        if not tab:
            raise ValueError("no tab in the line")
        return name, float("nan")

    def mark(self, row: str, unsure: bool) -> str:
        """The line, with a tab and the word "unsure" at its end or without."""
        row = row.removesuffix("\n").removesuffix("\tunsure")
        return row + ("\tunsure\n" if unsure else "\n")


class CsvFormat:
    """CSV with the columns image, caption, score and familiar (empty where unknown).

    With `marks` also a column unsure (yes, no). A cell that a spreadsheet would run as a formula
    gets an apostrophe before it.
    """

    multiline = True

    def __init__(self, marks: bool = False) -> None:
        self.columns = ["image", "caption", "score", "familiar"] + ["unsure"] * marks
        self.header = self._line(self.columns)

    def name_of(self, photo: Path) -> str:
        """The path as its cell contains it."""
        return spreadsheet_cell(str(photo))

    def row_of(self, caption: Caption) -> str:
        """The row of a caption, its mark still empty. Names with line breaks are quoted."""
        cells = [
            self.name_of(caption.image),
            spreadsheet_cell(caption.caption),
            f"{caption.score:.4f}",
            "" if caption.familiar is None else f"{caption.familiar:.3f}",
            "",  # the mark: which captions are unsure is known after the last one
        ]
        return self._line(cells[: len(self.columns)])

    def parse(self, row: str) -> tuple[str, float]:
        """Name and score."""
        name, _, score, *_ = self._cells(row)
        return name, float(score)

    def mark(self, row: str, unsure: bool) -> str:
        """The row with yes or no in the column unsure, if there is such a column."""
        cells = [*self._cells(row)[:4], "yes" if unsure else "no"]
        return self._line(cells[: len(self.columns)])

    def _cells(self, row: str) -> list[str]:
        # newline="": the csv module itself must see the line breaks inside of quotes.
        cells = next(csv.reader(io.StringIO(row, newline="")))
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells in a row of {len(self.columns)}")
        return cells

    def _line(self, cells: list[str]) -> str:
        line = io.StringIO(newline="")
        # Python's csv leaves a lone carriage return unquoted, and then can't read it.
        has_return = any("\r" in cell for cell in cells)
        writer = csv.writer(
            line,
            lineterminator="\n",
            quoting=csv.QUOTE_ALL if has_return else csv.QUOTE_MINIMAL,
        )
        writer.writerow(cells)
        return line.getvalue()


class JsonLinesFormat:
    """One JSON object per line: image, caption, score, familiar (null where unknown).

    With `top` above 1 also the best captions.
    """

    header = ""
    multiline = False

    def __init__(self, top: int = 1) -> None:
        self.top = top

    def name_of(self, photo: Path) -> str:
        """The path as it is."""
        return str(photo)

    def row_of(self, caption: Caption) -> str:
        """The line of a caption."""
        row: dict[str, Any] = {
            "image": self.name_of(caption.image),
            "caption": caption.caption,
            "score": round(caption.score, 4),
            "familiar": None if caption.familiar is None else round(caption.familiar, 3),
        }
        if self.top > 1:
            row["captions"] = [
                {"caption": text, "score": round(score, 4)} for text, score in caption.best
            ]
        return json.dumps(row, ensure_ascii=False) + "\n"

    def parse(self, row: str) -> tuple[str, float]:
        """Name and score."""
        value = json.loads(row)
        name, score = str(value["image"]), float(value["score"])
        if "familiar" not in value:
            raise ValueError("it has no 'familiar': an older version of this program wrote it")
        return name, score

    def mark(self, row: str, unsure: bool) -> str:
        """The line with "unsure" true or false."""
        return json.dumps(json.loads(row) | {"unsure": unsure}, ensure_ascii=False) + "\n"
