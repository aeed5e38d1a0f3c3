"""`film.csv`: the same few dev photos captioned after each epoch, to watch a model learn."""

import csv
import io
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.text import read_text, write_text

FILM = "film.csv"


class Film:
    """Captions of a few photos, a row an epoch.

    folder: where `film.csv` is; resume: whether its epochs are kept.
    """

    def __init__(self, folder: Path, resume: bool = False) -> None:
        self._folder = folder
        self._rows = read_film(folder) if resume else {}

    def add(self, captions: dict[str, str], epoch: int) -> None:
        """Add an epoch's captions, {file name: caption}, and write the file."""
        # A training that was stopped between film and checkpoint does its last epoch again.
        self._rows = {done: row for done, row in self._rows.items() if done < epoch}
        self._rows[epoch] = captions
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["epoch", *captions])
        writer.writerows([done, *row.values()] for done, row in self._rows.items())
        write_text(self._folder / FILM, text.getvalue())


def read_film(folder: Path) -> dict[int, dict[str, str]]:
    """Of each epoch in `film.csv` the caption of each photo; empty if there is no such file.

    Raises `CaptioningError` for a file that isn't such a table.
    """
    path = Path(folder) / FILM
    if not path.is_file():
        return {}
    try:
        header, *rows = csv.reader(io.StringIO(read_text(path, "the film")))
        return {int(row[0]): dict(zip(header[1:], row[1:], strict=True)) for row in rows}
    except (ValueError, IndexError, csv.Error) as error:
        raise CaptioningError(f"{path} is not a table of epochs ({error})") from None
