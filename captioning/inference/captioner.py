"""load("models/flickr8k").caption(photos): what the script, the notebook and the app call."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from captioning.data.text import PADDING, START, UNKNOWN, clean_caption
from captioning.errors import CaptioningError
from captioning.inference.description import read_description
from captioning.inference.search import Hypothesis, decode
from captioning.inference.settings import SUPPRESSED, DecodingSettings
from captioning.inference.trained_model import TrainedModel, load_trained_model
from captioning.vision.encoders import Encoder, load_encoder
from captioning.vision.extraction import encode_views, read_batches
from captioning.vision.images import MAX_PIXELS

PHOTOS_AT_ONCE = 16


VECTORS_AT_ONCE = 250


HYPOTHESES_AT_ONCE = 32
"""Of each view of a photo. Where a beam is wider still, fewer photos are decoded at once."""


@dataclass(frozen=True)
class Caption:
    """A photo's caption, or the reason why it has none.

    score: mean log-probability a word (natural logarithm, 0 is certain); best: (caption, score)
    of the N likeliest, best first; error: why the photo could not be read, or None.
    """

    image: Path
    caption: str = ""
    score: float = float("nan")
    best: list[tuple[str, float]] = field(default_factory=list)
    error: str | None = None


class Captioner:
    """A trained model, or several that decide together, with their encoder; made by `load`.

    `bundle` is the (first) model's; its decoding defaults hold.
    """

    def __init__(self, bundles: Sequence[TrainedModel], weights: str = "imagenet") -> None:
        from captioning.decoders.ensemble import Ensemble
        from captioning.decoders.kinds import READ_GRIDS

        self.bundle = bundles[0]
        self.reads_grids = any(bundle.model.name in READ_GRIDS for bundle in bundles)
        self._weights = weights
        self._encoder: Encoder | None = None
        self._steps = Ensemble([bundle.model for bundle in bundles])

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded at first use. Raises `CaptioningError` if it isn't the model's."""
        if self._encoder is None:
            name = self.bundle.encoder["name"]
            encoder = load_encoder(name, self._weights)
            if encoder.fingerprint != self.bundle.encoder["weights"]:
                raise CaptioningError(
                    f"{self.bundle.folder} was trained with other weights of {name} (fingerprint "
                    f"{self.bundle.encoder['weights']}) than {self._weights} holds "
                    f"({encoder.fingerprint}); name the right file with --weights"
                )
            self._encoder = encoder
        return self._encoder

    def caption(
        self,
        photos: Iterable[Path],
        top: int = 1,
        max_pixels: int = MAX_PIXELS,
        **decoding: Any,
    ) -> Iterator[Caption]:
        """Captions in the order of the photos, as they come; several photos share a batch.

        decoding: as in `settings`. With `top`, the N likeliest of the beam. A photo that can't be
        read, or has more than max_pixels, comes back with its `error`.
        """
        settings = self.settings(**decoding)
        remaining = map(Path, photos)
        while group := list(islice(remaining, PHOTOS_AT_ONCE)):
            yield from self._caption_group(group, settings, top, max_pixels)

    def _caption_group(
        self, group: list[Path], settings: DecodingSettings, top: int, max_pixels: int
    ) -> Iterator[Caption]:
        failed: dict[Path, str] = {}
        done: dict[Path, Caption] = {}
        size = self.bundle.encoder["size"]
        unique = list(dict.fromkeys(group))
        for paths, pixels in read_batches(unique, size, PHOTOS_AT_ONCE, failed, max_pixels):
            found = self._describe(*self.encode(pixels, settings.views), settings)
            for path, hypotheses in zip(paths, found, strict=True):
                best = [(self.text(h), h.score) for h in hypotheses[:top]]
                done[path] = Caption(path, *best[0], best)
        for path in group:
            yield done.get(path) or Caption(path, error=failed[path])

    def encode(
        self, pixels: np.ndarray, views: int | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Vectors, float32 (photos, D), and for models that look at them grids (photos, views,
        regions, D), of photos as arrays, uint8 (photos, size, size, 3): what `describe` wants.
        """
        return encode_views(self.encoder, pixels, self.settings(views=views).views)

    def describe(
        self, vectors: np.ndarray, grids: np.ndarray | None = None, **decoding: Any
    ) -> list[list[Hypothesis]]:
        """Hypotheses, best first, for each photo: vectors, float32 (photos, D), and, for models
        that look at them, grids (photos, views, regions, D). decoding: as in `settings`. Raises
        `CaptioningError` when the model computes no numbers.
        """
        return self._describe(vectors, grids, self.settings(**decoding))

    def _describe(
        self, vectors: np.ndarray, grids: np.ndarray | None, settings: DecodingSettings
    ) -> list[list[Hypothesis]]:
        found: list[list[Hypothesis]] = []
        width = max(HYPOTHESES_AT_ONCE, settings.beam * max(1, settings.views))
        at_once = max(1, VECTORS_AT_ONCE * HYPOTHESES_AT_ONCE // width)
        for start in range(0, len(vectors), at_once):
            part = slice(start, start + at_once)
            photo, state = self._steps.begin(vectors[part], None if grids is None else grids[part])

            found += self._decode(photo, state, len(vectors[part]), settings)
        if not all(own and not math.isnan(own[0].score) for own in found):
            raise CaptioningError(
                f"what the model in {self.bundle.folder} computes is not a number: its weights are "
                "damaged; train it again"
            )
        return found

    def look(
        self, vectors: np.ndarray, grids: np.ndarray | None, captions: Sequence[str]
    ) -> list[np.ndarray] | None:
        """Where the decoder looks when it says each word of a clean caption, one caption a photo.

        For each photo an array (words, side, side) of shares that sum to 1 over the grid; None
        for models that don't look. vectors, grids: as in `describe`.
        """
        if not self.reads_grids:
            return None
        rows = [self.bundle.tokenizer.encode(caption) for caption in captions]
        side = self.bundle.encoder["grid_side"]
        photo, state = self._steps.begin(vectors, grids)
        words = np.full((len(rows), 1), START, np.int32)
        steps = []
        for position in range(max(map(len, rows), default=0)):
            _, state = self._steps.step(words, photo, state)
            steps.append(self._steps.seen[:, 0].reshape(-1, side, side))  # (photos, side, side)
            said = [row[position] if position < len(row) else PADDING for row in rows]
            words = np.array(said, np.int32)[:, None]
        return [np.stack([s[i] for s in steps[: len(row)]]) for i, row in enumerate(rows)]

    def _decode(
        self, photo: list, state: list, photos: int, settings: DecodingSettings
    ) -> list[list[Hypothesis]]:
        def step(words: np.ndarray, state: list) -> tuple:
            return self._steps.step(words, photo, state)

        def keep(rows: np.ndarray) -> None:
            nonlocal photo
            photo = self._steps.keep(photo, rows)

        return decode(step, state, photos, settings, keep)

    def settings(
        self,
        beam: int | None = None,
        length_power: float | None = None,
        no_repeat: int = 0,
        max_words: int | None = None,
        ban: Iterable[str] = (),
        views: int | None = None,
    ) -> DecodingSettings:
        """How to decode, the model's own way where nothing is asked for.

        beam: 1 is greedy; length_power: hypotheses rank by log-probability / length**power;
        no_repeat: so many words never come twice in a caption, 0 for no such rule; max_words: of
        a caption; ban: words that are never said (those the model doesn't know, it can't say);
        views: so many of `images.VIEWS` of each photo decide together, if a model looks at grids.
        """
        defaults = self.bundle.decoding
        numbers = [self.bundle.tokenizer.encode(clean_caption(word)) for word in ban]
        banned = {number for row in numbers for number in row} - {UNKNOWN}
        return DecodingSettings(
            defaults["beam"] if beam is None else beam,
            defaults["length_power"] if length_power is None else length_power,
            min(self.bundle.max_length, max_words or self.bundle.max_length),
            no_repeat,
            (*SUPPRESSED, *sorted(banned)),
            (views or defaults.get("views", 1)) if self.reads_grids else 0,
        )

    def text(self, hypothesis: Hypothesis) -> str:
        """The words of a hypothesis."""
        return self.bundle.tokenizer.decode(hypothesis.tokens)


def load(*folders: str | Path, weights: str = "imagenet") -> Captioner:
    """The captioner of a model's folder, or of several; `weights` of the encoder as in
    `load_encoder`. Several decide together: the mean of their probabilities counts.

    Raises `CaptioningError` when a part of a folder is missing or doesn't fit the others, and
    for models of different encoders or vocabularies.
    """
    check_together(folders)
    return Captioner([load_trained_model(Path(folder)) for folder in folders], weights)


def check_together(folders: Sequence[str | Path]) -> dict[str, Any]:
    """`captioner.json` of the first of these models' folders, at once (no Keras).

    Raises `CaptioningError` as `load` does, but for what only the weights can tell.
    """
    first, *others = [(Path(folder), read_description(Path(folder))) for folder in folders]
    for folder, about in others:
        for key, what in (("encoder", "encoder"), ("words", "vocabulary")):
            if about[key] != first[1][key]:
                raise CaptioningError(
                    f"{first[0]} and {folder} can't decide together: each has another {what}"
                )
    return first[1]
