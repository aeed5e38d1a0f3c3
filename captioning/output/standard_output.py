"""Rows of captions on standard output."""

import sys
from pathlib import Path
from typing import TextIO

from captioning.inference.captioner import Caption
from captioning.output.confidence import least_confident
from captioning.output.interfaces import RowFormat


class StandardOutput:
    """An `Output`: rows are printed as they come, or all at the end if some are to be marked.

    unsure: None, or the share of captions to mark.
    """

    def __init__(self, rows: RowFormat, unsure: float | None = None) -> None:
        self._rows, self._unsure = rows, unsure
        self._held: list[tuple[str, float]] = []  # (row, score): which are unsure shows at the end
        self._print(rows.header)

    def has(self, _: Path) -> bool:
        """Never: nothing is kept from an earlier run."""
        return False

    def preview(self, caption: Caption) -> str:
        """The row."""
        return self._rows.row_of(caption)

    def write(self, caption: Caption) -> None:
        """Print a caption, or hold it back until `finish`."""
        row = self._rows.row_of(caption)
        if self._unsure is None:
            self._print(row)
        else:
            self._held.append((row, caption.score))

    def finish(self) -> None:
        """Print what was held back, marked."""
        if self._unsure is not None:
            marks = least_confident([score for _, score in self._held], self._unsure)
            for (row, _), unsure in zip(self._held, marks, strict=True):
                self._print(self._rows.mark(row, unsure))

    def _print(self, text: str) -> None:
        write_beside_bar(text, sys.stdout)


def write_beside_bar(text: str, file: TextIO) -> None:
    """Write to a terminal, where a progress bar may stand, and flush."""
    if tqdm := sys.modules.get("tqdm"):
        tqdm.tqdm.write(text, file=file, end="")  # moves the bar out of the way
    else:  # nothing has imported it, so there is no bar
        file.write(text)
    file.flush()
