"""The two interfaces of this package: how a caption becomes a row, and where captions are written.

Protocols, not base classes: whatever has these methods will do.
"""

from pathlib import Path
from typing import Protocol

from captioning.inference.captioner import Caption


class RowFormat(Protocol):
    """One row per photo, complete by itself, so that a file of rows can be resumed after any row.

    header: what comes before the first row; multiline: whether a row may contain line breaks,
    between double quotes, as in CSV.
    """

    header: str
    multiline: bool

    def name_of(self, photo: Path) -> str:
        """The photo's name as its row contains it: the key by which a resumed run finds it."""

    def row_of(self, caption: Caption) -> str:
        """The row of a caption, with its line end."""

    def parse(self, row: str) -> tuple[str, float]:
        """Name and score (mean log-probability per word) from a row; NaN if it holds no score.

        Raises `ValueError`, `KeyError`, `TypeError`, `StopIteration` or `csv.Error` for text
        that is no row of this format.
        """

    def mark(self, row: str, unsure: bool) -> str:
        """The row, marked as unsure or as sure; marking twice is the same as marking once."""


class Output(Protocol):
    """Somewhere captions are written: standard output, one file of rows, one file per photo.

    Nothing that is there is changed before the first `write`, or `finish`.
    """

    def has(self, photo: Path) -> bool:
        """Whether this photo's caption is there already, and isn't to be written."""

    def preview(self, caption: Caption) -> str:
        """What `write` would write, as a line to be shown; raises `UnwritableError` as `write`."""

    def write(self, caption: Caption) -> None:
        """Write one caption.

        Raises `UnwritableError` if only this photo's caption can't be written, so that the
        others still can, and `CaptioningError` if no caption can (the disk is full).
        """

    def finish(self) -> None:
        """Complete the output after the last caption."""
