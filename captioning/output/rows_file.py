"""One file of rows that grows with every caption, and can be resumed."""

import csv
import io
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.text import write_text
from captioning.files.whole import written_whole
from captioning.inference.captioner import Caption
from captioning.output.confidence import least_confident
from captioning.output.interfaces import RowFormat


class RowsFile:
    """An `Output`: each caption is appended to the file at once, so that a killed run loses none.

    resume: continue after the last complete row of an earlier run; an incomplete row is removed.
    unsure: the share of captions to mark; the rows stay unmarked until `finish` rewrites the
    file. Hold the file's lock (`only_writer`) from before the constructor until after `finish`.
    The file is changed by `write` and `finish` alone.

    Raises `CaptioningError` for a file that exists, without `resume` and `overwrite`, or does
    not consist of rows of this format.
    """

    def __init__(
        self,
        path: Path,
        rows: RowFormat,
        resume: bool = False,
        overwrite: bool = False,
        unsure: float | None = None,
    ) -> None:
        # Resolved: through a symbolic link, the file that it points to is rewritten.
        self._path, self._rows, self._unsure = path.resolve(), rows, unsure
        self._done: set[str] = set()  # names as in the rows, which a resumed run reads back
        self._begun = False  # whether the file is cut, or has its header
        self._kept: list[str] | None = None  # the rows of an earlier run, to go on after
        exists = path.exists() and (not path.is_file() or path.stat().st_size > 0)
        if path.is_dir():
            raise CaptioningError(f"{path} is a folder; -o wants a file for this --format")
        if exists and not (resume or overwrite):
            raise CaptioningError(
                f"{path} exists already; --resume continues it, --overwrite replaces it"
            )
        if exists and resume:
            self._kept = self._read()
            self._note_done(self._kept)

    def has(self, photo: Path) -> bool:
        """Whether the file has the photo's row."""
        return self._rows.name_of(photo) in self._done

    def preview(self, caption: Caption) -> str:
        """The row."""
        return self._rows.row_of(caption)

    def write(self, caption: Caption) -> None:
        """Append a row. Raises `CaptioningError` if the disk refuses it."""
        self._begin()
        try:
            # Opened anew for each row, so that it is out of this process when it is closed.
            # A file name that isn't UTF-8 is written with escapes, which JSON reads back.
            with self._path.open(
                "a", encoding="utf-8", errors="backslashreplace", newline="\n"
            ) as file:
                file.write(self._rows.row_of(caption))
        except OSError as error:
            raise CaptioningError(
                f"cannot write to {self._path}: {error.strerror}; the captions so far are saved, "
                "--resume continues after them"
            ) from None
        self._done.add(self._rows.name_of(caption.image))

    def finish(self) -> None:
        """Mark the unsure captions, if asked to: the file is replaced as a whole or not at all."""
        self._begin()  # where not one photo could be captioned
        if self._unsure is None:
            return
        # Read back from the file: most of its rows may be an earlier run's.
        rows = self._read()
        marks = least_confident([self._rows.parse(row)[1] for row in rows], self._unsure)
        marked = (self._rows.mark(row, unsure) for row, unsure in zip(rows, marks, strict=True))
        text = self._rows.header + "".join(marked)
        with written_whole(self._path) as beside:
            beside.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")

    def _note_done(self, rows: list[str]) -> None:
        """Note which photos have rows. Raises `CaptioningError` for what is no row."""
        for number, row in enumerate(rows, 1):
            try:
                self._done.add(self._rows.parse(row)[0])
            except (ValueError, KeyError, TypeError, StopIteration, csv.Error) as error:
                raise CaptioningError(
                    f"{self._path}, row {number}, is not a row of this --format ({error}); name "
                    "another file with -o, or replace this one with --overwrite"
                ) from None

    def _begin(self) -> None:
        """Make the file ready for rows: a header alone, or an earlier run's complete rows."""
        if self._begun:
            return
        if self._kept is None:
            write_text(self._path, self._rows.header)
        else:
            complete = (self._rows.header + "".join(self._kept)).encode("utf-8")
            try:
                with self._path.open("r+b") as file:
                    file.write(complete)  # the bytes that are there already: a crash harms nothing
                    file.truncate()
            except OSError as error:
                raise CaptioningError(f"cannot write to {self._path}: {error.strerror}") from None
        self._begun, self._kept = True, None

    def _read(self) -> list[str]:
        """The complete rows after the header."""
        raw, header = self._path.read_bytes(), self._rows.header
        try:
            # Up to the last line end: a character that was cut in two is not UTF-8.
            text = raw[: raw.rfind(b"\n") + 1].decode("utf-8")
        except UnicodeDecodeError:
            text = None
        if text is not None and header.startswith(text):
            return []  # cut off within its header
        if text is None or not text.startswith(header):
            raise CaptioningError(
                f"{self._path} doesn't begin as this --format does{_difference(text, header)}; it "
                "was written with other options, by an older version or by another program: name "
                "another file with -o, or replace this one with --overwrite"
            )
        return list(split_rows(text[len(header) :], self._rows.multiline))


def _difference(text: str | None, header: str) -> str:
    """The first line in which a file's header differs, for a message; "" if it is no text."""
    lines = zip_longest((text or "").split("\n"), header.split("\n"), fillvalue="")
    for number, (found, wanted) in enumerate(lines, 1):
        if text and found != wanted:
            return f" (line {number} is {found[:60]!r}, not {wanted[:60]!r})"
    return ""


def split_rows(text: str, multiline: bool = False) -> Iterator[str]:
    """The complete rows of a text with their line ends; an incomplete last row is dropped.

    multiline: a row continues over line ends between double quotes, as in CSV.
    """
    row = ""
    for line in io.StringIO(text, newline="\n"):
        row += line
        # Inside of a quoted cell the row has an odd number of quotes so far; quotes within a
        # cell are doubled, so they don't change that.
        inside_quotes = multiline and row.count('"') % 2
        if row.endswith("\n") and not inside_quotes:
            yield row
            row = ""
