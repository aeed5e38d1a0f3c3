"""Rows of captions on standard output."""

import sys
from pathlib import Path

from tqdm import tqdm

from captioning.inference.captioner import Caption
from captioning.output.formats import Rows, unsure_of


class Stream:
    """Rows on standard output as they come, or, to be marked by `unsure`, all at the end.

    unsure: None, or the share of captions to mark.
    """

    def __init__(self, rows: Rows, unsure: float | None = None) -> None:
        self._rows, self._unsure = rows, unsure
        self._held: list[tuple[str, float]] = []
        self._print(rows.header)

    def has(self, _: Path) -> bool:
        """Nothing is kept from an earlier run."""
        return False

    def write(self, caption: Caption) -> None:
        """Print a caption, or hold it back."""
        row = self._rows.row(caption)
        if self._unsure is None:
            self._print(row)
        else:
            self._held.append((row, caption.score))

    def finish(self) -> None:
        """Print what was held back, marked."""
        if self._unsure is not None:
            marks = unsure_of([score for _, score in self._held], self._unsure)
            for (row, _), unsure in zip(self._held, marks, strict=True):
                self._print(self._rows.marked(row, unsure))

    def _print(self, text: str) -> None:
        tqdm.write(text, file=sys.stdout, end="")  # a progress bar makes room for it
        sys.stdout.flush()
