"""A file of rows that every caption is added to at once."""

import csv
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.text import write_text
from captioning.files.whole import written_whole
from captioning.inference.captioner import Caption
from captioning.output.formats import Rows, Table, split_rows, unsure_of


class RowsFile:
    """A file that every caption is added to at once, so that a killed run loses none.

    With `resume` it goes on after the last whole row of an earlier run; a cut-off one is
    dropped. With `unsure`, the share of captions to mark, the rows stay unmarked until
    `finish` writes the file anew. Hold the file's lock around all this.

    Raises `CaptioningError` for a file that is there, without `resume` and `overwrite`, or is
    not of these rows.
    """

    def __init__(
        self,
        path: Path,
        rows: Rows,
        resume: bool = False,
        overwrite: bool = False,
        unsure: float | None = None,
    ) -> None:
        self._path, self._rows, self._unsure = path.resolve(), rows, unsure
        self._done: set[str] = set()
        there = path.exists() and (not path.is_file() or path.stat().st_size > 0)
        if path.is_dir():
            raise CaptioningError(f"{path} is a folder; -o wants a file for this --format")
        if there and not (resume or overwrite):
            raise CaptioningError(
                f"{path} is there already; --resume goes on with it, --overwrite begins it anew"
            )
        if there and resume:
            self._go_on()
        else:
            write_text(self._path, rows.header)

    def has(self, photo: Path) -> bool:
        """Whether the photo has its row."""
        return self._rows.name(photo) in self._done

    def write(self, caption: Caption) -> None:
        """Add a row. Raises `CaptioningError` when the disk refuses."""
        try:
            # A file name that isn't UTF-8 is written with escapes, which JSON reads back.
            with self._path.open(
                "a", encoding="utf-8", errors="backslashreplace", newline="\n"
            ) as file:
                file.write(self._rows.row(caption))
        except OSError as error:
            raise CaptioningError(
                f"cannot write to {self._path}: {error.strerror}; the captions so far are there, "
                "--resume goes on after them"
            ) from None
        self._done.add(self._rows.name(caption.image))

    def finish(self) -> None:
        """Mark the unsure captions, if asked for: the file changes as a whole or not at all."""
        if self._unsure is None:
            return
        rows = self._read()
        marks = unsure_of([self._rows.read(row)[1] for row in rows], self._unsure)
        marked = (self._rows.marked(*pair) for pair in zip(rows, marks, strict=True))
        text = self._rows.header + "".join(marked)
        with written_whole(self._path) as beside:
            beside.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")

    def _go_on(self) -> None:
        rows = self._read()
        for number, row in enumerate(rows, 1):
            try:
                self._done.add(self._rows.read(row)[0])
            except (ValueError, KeyError, TypeError, StopIteration, csv.Error) as error:
                raise CaptioningError(
                    f"{self._path}, row {number}, is no row of this --format ({error}); name "
                    "another file with -o, or --overwrite it"
                ) from None
        whole = (self._rows.header + "".join(rows)).encode("utf-8")
        with self._path.open("r+b") as file:
            file.write(whole)  # the bytes that stand there, so a crash harms nothing
            file.truncate()

    def _read(self) -> list[str]:
        """The whole rows after the header."""
        raw, header = self._path.read_bytes(), self._rows.header
        try:
            text = raw[: raw.rfind(b"\n") + 1].decode("utf-8")
        except UnicodeDecodeError:
            text = None
        if text is not None and header.startswith(text):
            return []  # cut off within its header
        if text is None or not text.startswith(header):
            raise CaptioningError(
                f"{self._path} doesn't begin as this --format does; it was made by other options "
                "or another program: name another file with -o, or --overwrite it"
            )
        return list(split_rows(text[len(header) :], quotes=isinstance(self._rows, Table)))
