"""One captioner shared by all sessions of the app; it keeps no photo itself.

A model in Keras is not known to be thread-safe, so a lock lets one thread compute at a time. It is
released after every batch: many photos of one person don't hold up one photo of another.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from captioning.app.photos import THUMBNAIL, SessionPhoto, read_photo
from captioning.data.neutral import without_gender
from captioning.inference.captioner import PHOTOS_AT_ONCE, Captioner
from captioning.vision.images import UnreadableImageError, to_array


class SharedCaptioner:
    """A captioner for several threads.

    own_beam: the width of the beam that the model decodes with by default, 1 for greedy; neutral:
    whether captions leave out the gender of people.
    """

    def __init__(self, captioner: Captioner, neutral: bool = False) -> None:
        self._captioner = captioner
        self._neutral = neutral
        self._computing = Lock()
        self.own_beam = captioner.decoder.settings().beam
        # An empty photo, so that the encoder is loaded and compiled before the first real one.
        size = captioner.trained_model.encoder["size"]
        captioner.encode(np.zeros((1, size, size, 3), np.uint8))

    def caption_files(
        self, files: Sequence[tuple[str, Path]], top: int, **decoding: Any
    ) -> Iterator[tuple[list[SessionPhoto], list[str]]]:
        """Captioned photos, and a sentence for each refused file, batch by batch.

        files: (name to show, path); decoding: as in `CaptionDecoder.settings`; top: how many of the
        best captions are kept.
        """
        for start in range(0, len(files), PHOTOS_AT_ONCE):
            opened, refused = [], []
            # Outside of the lock: opening files takes long, and needs no model.
            for name, path in files[start : start + PHOTOS_AT_ONCE]:
                try:
                    opened.append((name, read_photo(path)))
                except UnreadableImageError as error:
                    refused.append(f"{name} was refused: {error}.")
            photos = self._encode(opened) if opened else []
            self.decode(photos, top, **decoding)
            yield photos, refused

    def decode(self, photos: Sequence[SessionPhoto], top: int, **decoding: Any) -> None:
        """Set the best captions of encoded photos, again if the settings changed.

        People's corrections stay. top, decoding: as in `caption_files`.
        """
        for start in range(0, len(photos), PHOTOS_AT_ONCE):
            group = photos[start : start + PHOTOS_AT_ONCE]
            with self._computing:
                found = self._captioner.decoder.decode(*_inputs(group), **decoding)
            for photo, hypotheses in zip(group, found, strict=True):
                texts = [(self._captioner.decoder.text(h), h.score) for h in hypotheses[:top]]
                if self._neutral:
                    texts = [(without_gender(text), score) for text, score in texts]
                photo.best = texts

    def attention(self, photo: SessionPhoto) -> list[tuple[str, np.ndarray]]:
        """Each word of the model's caption with its attention weights, float32 (side, side).

        [] for a decoder without attention.
        """
        caption = photo.best[0][0]
        with self._computing:
            maps = self._captioner.decoder.attention(*_inputs([photo]), [caption])
        return [] if maps is None else list(zip(caption.split(), maps[0], strict=True))

    def _encode(self, opened: list[tuple[str, Image.Image]]) -> list[SessionPhoto]:
        size = self._captioner.trained_model.encoder["size"]
        pixels = np.stack([to_array(image, size) for _, image in opened])  # (photos, size, size, 3)
        with self._computing:
            vectors, grids = self._captioner.encode(pixels)
        shares = self._captioner.familiar(vectors)
        photos = []
        for index, (name, image) in enumerate(opened):
            image.thumbnail((THUMBNAIL, THUMBNAIL))  # the full size is needed no more
            # Half precision, as features.py stores grids: half the memory per open page.
            grid = None if grids is None else grids[index].astype(np.float16)
            photo = SessionPhoto(name, image, vectors[index], grid, familiar=shares[index])
            photos.append(photo)
        return photos


def _inputs(photos: Sequence[SessionPhoto]) -> tuple[np.ndarray, np.ndarray | None]:
    """Vectors (photos, D) and grids (photos, views, regions, D), or None if there are none."""
    vectors = np.stack([photo.vector for photo in photos])
    grids = [photo.grid for photo in photos if photo.grid is not None]
    return vectors, np.stack(grids) if grids else None
