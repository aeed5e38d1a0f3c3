"""`film.csv`: the same few dev photos captioned after each epoch, to watch a model learn."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from captioning.data.prepared import Prepared
from captioning.decoders.build import steps_of
from captioning.decoders.kinds import READ_GRIDS
from captioning.errors import CaptioningError
from captioning.files.text import read_text, write_text
from captioning.inference.search import greedy
from captioning.inference.settings import DecodingSettings
from captioning.training.batches import grids_of

FILM = "film.csv"

PHOTOS = 4
"""So many photos of dev are watched."""


class Film:
    """Captions of a few photos of dev by greedy search, a row an epoch.

    folder: where `film.csv` is; resume: whether its epochs are kept.
    """

    def __init__(self, prepared: Prepared, folder: Path, resume: bool = False) -> None:
        self._prepared, self._folder = prepared, folder
        self.photos = watched(prepared)
        self._rows = read_film(folder) if resume else {}
        self._model: Any = None

    def add(self, model: Any, epoch: int) -> None:
        """Caption the photos with the model as it is, after that epoch, and write the file."""
        if model is not self._model:  # its steps are compiled once
            self._model, self._steps = model, steps_of(model)
        # A training that was stopped between film and checkpoint does its last epoch again.
        self._rows = {done: row for done, row in self._rows.items() if done < epoch}
        self._rows[epoch] = dict(zip(self.photos, self._captions(), strict=True))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["epoch", *self.photos])
        writer.writerows([done, *row.values()] for done, row in self._rows.items())
        write_text(self._folder / FILM, text.getvalue())

    def _captions(self) -> list[str]:
        features = self._prepared.features
        if self._model.name in READ_GRIDS:
            rows = features.grid_rows(self.photos)[:, 0]  # (photos,): the first view of each
            inputs = grids_of(features)[rows]  # (photos, regions, D)
        else:
            inputs = features.matrix(self.photos)  # (photos, D)
        photo, state = self._steps.begin(inputs)
        found = greedy(
            lambda words, state: self._steps.step(words, photo, state),
            state,
            len(self.photos),
            DecodingSettings(max_words=self._prepared.longest),
        )
        return [self._prepared.tokenizer.decode(hypothesis.tokens) for hypothesis in found]


def watched(prepared: Prepared) -> list[str]:
    """The photos that are watched: always the same of a dev split, from all parts of it."""
    names = prepared.splits["dev"]
    places = np.linspace(0, len(names) - 1, min(PHOTOS, len(names))).astype(int)
    return [names[place] for place in places]


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
