"""One captioner for several people at once: photos come in, captions go out, nothing is kept.

A model in Keras is not known to be safe in several threads, so whatever computes takes turns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from captioning.inference.captioner import PHOTOS_AT_ONCE, Captioner
from captioning.vision.images import UnreadableImageError, open_image, to_array

MAX_BYTES = 30_000_000


MAX_PIXELS = 60_000_000


MAX_PHOTOS = 200
"""So many photos a person has on the desk; each takes about 0.3 MB of memory."""


PICTURE = 640
"""Pixels of the longer side of the picture that is shown and kept while the page is open."""


@dataclass
class DeskPhoto:
    """A photo on the desk.

    picture: small; vector: float32 (D,), grid: float16 (views, regions, D) or None; best: (caption,
    score) of the likeliest, best first; corrected: what a person says instead, or None.
    """

    name: str
    picture: Image.Image
    vector: np.ndarray
    grid: np.ndarray | None
    best: list[tuple[str, float]] = field(default_factory=list)
    corrected: str | None = None

    @property
    def caption(self) -> str:
        """The person's caption, otherwise the model's."""
        return self.corrected or self.best[0][0]


class Desk:
    """A captioner that serves several people, one batch of 16 photos after the other."""

    def __init__(self, captioner: Captioner) -> None:
        self._captioner = captioner
        self._turn = Lock()
        self.looks = captioner.reads_grids
        self.beam = captioner.decoder.settings().beam
        size = captioner.trained_model.encoder["size"]
        captioner.encode(np.zeros((1, size, size, 3), np.uint8))  # loads the encoder, too

    def take(
        self, files: Sequence[tuple[str, Path]], top: int, **decoding: Any
    ) -> Iterator[tuple[list[DeskPhoto], list[str]]]:
        """Captioned photos and sentences about refused files, batch by batch.

        files: (name, where it is); decoding: as in `CaptionDecoder.settings`; top: so many of the
        best captions are kept.
        """
        for start in range(0, len(files), PHOTOS_AT_ONCE):
            opened, refused = [], []
            for name, path in files[start : start + PHOTOS_AT_ONCE]:
                try:
                    opened.append((name, read_photo(path)))
                except UnreadableImageError as error:
                    refused.append(f"{name} was refused: {error}.")
            photos = self._encode(opened) if opened else []
            self.caption(photos, top, **decoding)
            yield photos, refused

    def _encode(self, opened: list[tuple[str, Image.Image]]) -> list[DeskPhoto]:
        size = self._captioner.trained_model.encoder["size"]
        pixels = np.stack([to_array(image, size) for _, image in opened])
        with self._turn:
            vectors, grids = self._captioner.encode(pixels)
        photos = []
        for place, (name, image) in enumerate(opened):
            image.thumbnail((PICTURE, PICTURE))
            grid = None if grids is None else grids[place].astype(np.float16)
            photos.append(DeskPhoto(name, image, vectors[place], grid))
        return photos

    def caption(self, photos: Sequence[DeskPhoto], top: int, **decoding: Any) -> None:
        """Caption photos that are on the desk, anew with other settings; corrections stay."""
        for start in range(0, len(photos), PHOTOS_AT_ONCE):
            group = photos[start : start + PHOTOS_AT_ONCE]
            with self._turn:
                found = self._captioner.decoder.decode(*self._inputs(group), **decoding)
            for photo, hypotheses in zip(group, found, strict=True):
                photo.best = [(self._captioner.decoder.text(h), h.score) for h in hypotheses[:top]]

    def look(self, photo: DeskPhoto) -> list[tuple[str, np.ndarray]]:
        """Each word of the model's caption and where it looked, (side, side); [] if it can't."""
        if not self.looks:
            return []
        caption = photo.best[0][0]
        with self._turn:
            shares = self._captioner.decoder.attention(*self._inputs([photo]), [caption])[0]
        return list(zip(caption.split(), shares, strict=True))

    def _inputs(self, photos: Sequence[DeskPhoto]) -> tuple[np.ndarray, np.ndarray | None]:
        vectors = np.stack([photo.vector for photo in photos])
        return vectors, np.stack([photo.grid for photo in photos]) if self.looks else None


def read_photo(path: Path) -> Image.Image:
    """The photo of an uploaded file. Raises `UnreadableImageError` for what is no photo or big."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise UnreadableImageError(
            f"{size / 1e6:.0f} MB are more than the {MAX_BYTES / 1e6:.0f} MB that a photo may have"
        )
    return open_image(path, MAX_PIXELS)
