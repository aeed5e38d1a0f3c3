"""From photos to captions: `load("models/flickr8k").caption(photos)`; knows no Keras."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from captioning.decoders.ensemble import Seen
from captioning.errors import shown
from captioning.inference.caption_decoder import CaptionDecoder
from captioning.inference.familiarity import Familiarity
from captioning.inference.model_folder import ModelFolder
from captioning.inference.settings import DecodingSettings
from captioning.vision.batches import encode_views, read_in_sizes
from captioning.vision.encoders import PhotoEncoder
from captioning.vision.images import MAX_PIXELS, UnreadableImageError, as_data, open_image
from captioning.vision.packed import PackedPhoto, Photo

PHOTOS_AT_ONCE = 16
"""Photos of a group: they are read ahead, and decoded together."""

NOTEBOOK = 360
"""Pixels of a photo's longer side in a notebook."""


@dataclass(frozen=True)
class Caption:
    """A photo's caption, or the reason why it has none.

    image: its file, or the one that it's packed in; score: mean log-probability a word (natural
    logarithm, 0 is certain); best: (caption, score) of the N likeliest, best first; error: why the
    photo could not be read, or None; familiar: how like the photo is to the training photos
    (`Familiarity.of`), or None where the model's folder doesn't tell.
    """

    image: Path
    caption: str = ""
    score: float = float("nan")
    best: list[tuple[str, float]] = field(default_factory=list)
    error: str | None = None
    familiar: float | None = None

    def _repr_html_(self) -> str:
        """The photo over its caption, as notebooks show it; or why there is none."""
        name, text = escape(shown(str(self.image))), escape(self.caption)
        if self.error:
            return f"<p>{name}: {escape(shown(self.error))}</p>"
        about = name if self.familiar is None else f"{name}, familiar {self.familiar:.1%}"
        try:
            photo = open_image(self.image)
        except UnreadableImageError:  # moved since
            picture = ""
        else:
            photo.thumbnail((NOTEBOOK, NOTEBOOK))
            picture = f'<img src="{as_data(photo)}" alt="{text}">'
        return (
            f"<figure>{picture}<figcaption>{text}<br><small>{about}</small></figcaption></figure>"
        )


@dataclass
class LazyEncoder:
    """An encoder that is loaded when it's first needed.

    model: the first of those that were trained with it; reads_grids: whether any of them reads
    grids; load: gives the encoder. Raises `CaptioningError` if it isn't the model's.
    """

    model: ModelFolder
    reads_grids: bool
    load: Callable[[], PhotoEncoder]

    @cached_property
    def encoder(self) -> PhotoEncoder:
        """The encoder itself."""
        return self.load()

    def see(self, pixels: np.ndarray, views: int) -> Seen:
        """What models read of photos, uint8 (photos, size, size, 3), of so many views."""
        return Seen(*encode_views(self.encoder, pixels, views if self.reads_grids else 0))


class Captioner:
    """Captions photos with a trained model, or several that decide together; made by `load`.

    decoder: decodes from vectors and grids; trained_model: the (first) model; encoders: those that
    the models were trained with, the first model's first; familiarity: what the (first) model keeps
    of its training photos, or None.
    """

    def __init__(
        self,
        decoder: CaptionDecoder,
        encoders: Sequence[LazyEncoder],
        familiarity: Familiarity | None = None,
        in_threads: bool = False,
    ) -> None:
        self.decoder = decoder
        self.trained_model = decoder.trained_model
        self.reads_grids = decoder.reads_grids
        self.encoders = encoders
        self._familiarity = familiarity
        self._in_threads = in_threads

    @property
    def encoder(self) -> PhotoEncoder:
        """The first encoder, loaded at first use. Raises `CaptioningError` as `LazyEncoder`."""
        return self.encoders[0].encoder

    def caption(
        self,
        photos: str | Path | Iterable[str | Photo],
        top: int = 1,
        max_pixels: int = MAX_PIXELS,
        groups_at_once: int = 1,
        **decoding: Any,
    ) -> Iterator[Caption]:
        """Captions in the order of the photos, as they come; several photos share a batch.

        photos: paths of image files, photos inside of other files, or one path.
        top: so many of the beam's likeliest are in `best`; decoding: as in
        `CaptionDecoder.settings`. A photo that can't be read, or has more than max_pixels, comes
        back with its `error`.
        groups_at_once: so many groups of photos are captioned side by side, each by a thread of
        its own, where ONNX Runtime runs the model. On several processors that is faster than
        threads that share each step, if `use_threads(1)` came before `load`.
        """
        # Resolved once: `ban` may be an iterator, which can be read a single time.
        settings = self.decoder.settings(**decoding)
        # A path is an iterable as well: of its letters.
        several = [photos] if isinstance(photos, str | os.PathLike) else photos
        remaining = (p if isinstance(p, PackedPhoto) else Path(p) for p in several)
        groups = iter(lambda: list(islice(remaining, PHOTOS_AT_ONCE)), [])

        def caption_group(group: list[Photo]) -> list[Caption]:
            return list(self._caption_group(group, settings, top, max_pixels))

        if groups_at_once == 1 or not self._in_threads:
            found: Iterable[list[Caption]] = map(caption_group, groups)
        else:
            for one in self.encoders:
                _ = one.encoder  # loaded before there are threads that would each load it
            found = _side_by_side(caption_group, groups, groups_at_once)
        for captions in found:
            yield from captions

    def _caption_group(
        self, group: list[Photo], settings: DecodingSettings, top: int, max_pixels: int
    ) -> Iterator[Caption]:
        failed: dict[Photo, str] = {}
        done: dict[Photo, Caption] = {}
        sizes = [one.model.encoder["size"] for one in self.encoders]
        unique = list(dict.fromkeys(group))  # a photo that is given twice is captioned once
        # `read_in_sizes` gives the photos that can be read and puts the others into `failed`.
        for paths, pixels in read_in_sizes(unique, sizes, PHOTOS_AT_ONCE, failed, max_pixels):
            first, *others = (
                one.see(images, settings.views)
                for one, images in zip(self.encoders, pixels, strict=True)
            )
            found = self.decoder.decode_with(settings, first.vectors, first.grids, others=others)
            shares = self.familiar(first.vectors)
            for path, hypotheses, familiar in zip(paths, found, shares, strict=True):
                best = [(self.decoder.text(h), h.score) for h in hypotheses[:top]]
                done[path] = Caption(_file_of(path), *best[0], best, familiar=familiar)
        for path in group:
            yield done.get(path) or Caption(_file_of(path), error=failed[path])

    def encode(
        self, pixels: np.ndarray, views: int | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """What `decoder` reads of the first encoder, of photos as arrays, uint8 (photos, size,
        size, 3).

        Vectors, float32 (photos, D), and for models that read them grids (photos, views,
        regions, D), else None. views: as in `DecodingSettings`.
        """
        return self.encoders[0].see(pixels, self.decoder.settings(views=views).views)

    def familiar(self, vectors: np.ndarray) -> list[float | None]:
        """How like photos are to the training photos, as in `Familiarity.of`; None if unknown.

        vectors: float32 (photos, D).
        """
        if self._familiarity is None:
            return [None] * len(vectors)
        return self._familiarity.of(vectors).tolist()


def _side_by_side(
    caption_group: Callable[[list[Photo]], list[Caption]], groups: Iterable[list[Photo]], count: int
) -> Iterator[list[Caption]]:
    """`map(caption_group, groups)` by so many threads, of which none gets far ahead."""
    with ThreadPoolExecutor(count) as pool:
        waiting: deque[Future[list[Caption]]] = deque()
        try:
            for group in groups:
                waiting.append(pool.submit(caption_group, group))
                if len(waiting) > count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # a caller that takes no more, or a group that failed, ends the others
            pool.shutdown(cancel_futures=True)


def _file_of(photo: Photo) -> Path:
    return photo.archive if isinstance(photo, PackedPhoto) else photo
