"""One captioner for everyone at the desk, one at a time; people go before the background."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Condition
from typing import Any

import numpy as np
from PIL import Image

from captioning.data.neutral import without_gender
from captioning.data.text import clean_caption
from captioning.inference.caption_decoder import WordChoice
from captioning.inference.captioner import Captioner
from captioning.vision.images import to_array

ENCODED = 64
"""Photos whose vectors and grids are kept for the next question about them, 0.1 to 0.4 MB each."""

BEST = 5
"""Captions that are kept of each photo."""


class Turns:
    """One thread computes at a time: those that a person waits for first."""

    def __init__(self) -> None:
        self._free = Condition()
        self._busy = False
        self._waiting = 0

    @contextmanager
    def soon(self) -> Iterator[None]:
        """The next turn, for what somebody waits for."""
        with self._free:
            self._waiting += 1
            try:
                self._free.wait_for(lambda: not self._busy)
                self._busy = True
            finally:
                self._waiting -= 1
        yield from self._end()

    @contextmanager
    def later(self) -> Iterator[None]:
        """A turn when nobody waits for one."""
        with self._free:
            self._free.wait_for(lambda: not self._busy and not self._waiting)
            self._busy = True
        yield from self._end()

    def _end(self) -> Iterator[None]:
        try:
            yield
        finally:
            with self._free:
                self._busy = False
                self._free.notify_all()


class SharedCaptioner:
    """A captioner for several threads.

    name: of the model, to be shown; own_beam: the width that it decodes with by default; neutral:
    whether captions leave out the gender of people.
    """

    def __init__(self, captioner: Captioner, neutral: bool = False) -> None:
        self._captioner = captioner
        self.neutral = neutral
        self._turns = Turns()
        self._encoded: OrderedDict[str, tuple[np.ndarray, np.ndarray | None]] = OrderedDict()
        model = captioner.trained_model
        self.name = model.folder.name
        settings = captioner.decoder.settings()
        self.own_beam = settings.beam
        self.max_words = model.max_length
        # What the captions of a project were made with: another model makes them anew.
        about = [self.name, str(model.description.get("trained_at", ""))]
        near = settings.neighbours > 0
        self.signature = " ".join([*about, *["neutral"] * neutral, *["neighbours"] * near])

    def warm_up(self) -> None:
        """Load and compile the encoder, by an empty photo, before the first real one."""
        size = self._captioner.trained_model.encoder["size"]
        with self._turns.later():
            self._captioner.encode(np.zeros((1, size, size, 3), np.uint8))

    def pixels(self, image: Image.Image) -> np.ndarray:
        """The photo as the encoder reads it, uint8 (size, size, 3)."""
        return to_array(image, self._captioner.trained_model.encoder["size"])

    def caption(
        self, pixels: Sequence[np.ndarray], top: int = BEST, wait: bool = False, **decoding: Any
    ) -> list[tuple[list[tuple[str, float]], float | None]]:
        """For each photo its N best as (caption, score), and how familiar it is.

        pixels: as `pixels` gives them; wait: whether others go first; decoding: as in
        `CaptionDecoder.settings`.
        """
        beam = max(top, self.own_beam)
        settings = self._captioner.decoder.settings(**{"beam": beam, **decoding})
        with self._turns.later() if wait else self._turns.soon():
            vectors, grids = self._captioner.encode(np.stack(pixels))
            found = self._captioner.decoder.decode_with(settings, vectors, grids)
        shares = self._captioner.familiar(vectors)
        return [(self._texts(own)[:top], share) for own, share in zip(found, shares, strict=True)]

    def _texts(self, hypotheses: Sequence[Any]) -> list[tuple[str, float]]:
        """Their captions and scores, each caption once: without gender, two may be the same."""
        texts: dict[str, float] = {}
        for hypothesis in hypotheses:
            text = self._captioner.decoder.text(hypothesis)
            texts.setdefault(without_gender(text) if self.neutral else text, hypothesis.score)
        return list(texts.items())

    def words(
        self, photo: str, pixels: np.ndarray, caption: str, count: int = 6
    ) -> list[WordChoice]:
        """For each word of a caption where the decoder looked, and what else fits there.

        photo: its id. Words after the longest caption that the model knows are left out.
        """
        words = clean_caption(caption).split()[: self.max_words]
        with self._turns.soon():
            vector, grid = self._features(photo, pixels)
            return self._captioner.decoder.word_choices(vector, grid, " ".join(words), count)

    def go_on(self, photo: str, pixels: np.ndarray, prefix: str) -> list[tuple[str, float]]:
        """The N best captions that begin so. Raises `CaptioningError` where that is too long."""
        settings = self._captioner.decoder.settings(
            beam=max(BEST, self.own_beam), prefix=clean_caption(prefix)
        )
        with self._turns.soon():
            vector, grid = self._features(photo, pixels)
            (found,) = self._captioner.decoder.decode_with(
                settings, vector[None], None if grid is None else grid[None]
            )
        # The person's own words stay as they are, also those that the model doesn't know.
        given = prefix.split()
        texts: dict[str, float] = {}
        for hypothesis in found[:BEST]:
            text = self._captioner.decoder.text(hypothesis).split()
            new = text[len(settings.prefix) :]
            texts.setdefault(" ".join([*given, *new]), hypothesis.score)
        return list(texts.items())

    def _features(self, photo: str, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Vector and grid of a photo, kept for the next question; in one's turn."""
        found = self._encoded.get(photo)
        if found is None:
            vectors, grids = self._captioner.encode(pixels[None])
            found = vectors[0], None if grids is None else grids[0].astype(np.float16)
            self._encoded[photo] = found
            if len(self._encoded) > ENCODED:
                self._encoded.popitem(last=False)
        self._encoded.move_to_end(photo)
        vector, grid = found
        return vector, None if grid is None else grid.astype(np.float32)
