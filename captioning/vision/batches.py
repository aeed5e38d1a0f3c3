"""Photos as batches: read ahead while the network computes, and encoded view by view."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np

from captioning.vision.encoders import PhotoEncoder
from captioning.vision.images import MAX_PIXELS, UnreadableImageError, load_arrays
from captioning.vision.packed import Photo
from captioning.vision.views import view

DECODING_THREADS = 2

IMAGES_AT_ONCE = 16
"""Views of the same few photos go through the encoder together."""

P = TypeVar("P", bound=Photo)
"""Paths in, paths out."""

_Group = tuple[tuple[P, ...], list[Future[list[np.ndarray] | str]]]
"""Photos of a batch, and of each the pixels in each size, or why there are none, to come."""


def read_batches(
    paths: Iterable[P],
    size: int,
    batch_size: int,
    failed: dict[P, str],
    max_pixels: int = MAX_PIXELS,
) -> Iterator[tuple[list[P], np.ndarray]]:
    """Give (paths, images): uint8 images (up to batch_size, size, size, 3), decoded ahead.

    A photo that can't be read, or has more than `max_pixels`, is left out and named in `failed`
    with the reason. At most two batches wait in memory, however many photos there are.
    """
    for batch, (images,) in read_in_sizes(paths, (size,), batch_size, failed, max_pixels):
        yield batch, images


def read_in_sizes(
    paths: Iterable[P],
    sizes: Sequence[int],
    batch_size: int,
    failed: dict[P, str],
    max_pixels: int = MAX_PIXELS,
) -> Iterator[tuple[list[P], list[np.ndarray]]]:
    """As `read_batches`, for encoders of several sizes: (paths, images of each size)."""

    def read(path: P) -> list[np.ndarray] | str:
        try:
            return load_arrays(path, sizes, max_pixels)
        except UnreadableImageError as error:
            return str(error)

    # Threads, not processes: Pillow's decoders let go of Python's lock, and so does the network.
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        waiting: list[_Group[P]] = []
        remaining = iter(paths)
        while group := tuple(islice(remaining, batch_size)):
            waiting.append((group, [pool.submit(read, path) for path in group]))
            # The batch before is given away only now, with this one on its way: it is decoded
            # while the caller computes.
            if len(waiting) > 1:
                yield from _decoded(*waiting.pop(0), failed)
        for entry in waiting:
            yield from _decoded(*entry, failed)


def _decoded(
    group: tuple[P, ...], futures: list[Future[list[np.ndarray] | str]], failed: dict[P, str]
) -> Iterator[tuple[list[P], list[np.ndarray]]]:
    """The photos of a group that could be read, as one batch; none when there is no such photo."""
    paths, images = [], []
    for path, future in zip(group, futures, strict=True):
        result = future.result()
        if isinstance(result, str):
            failed[path] = result
        else:
            paths.append(path)
            images.append(result)
    if paths:
        # One a size, (photos, size, size, 3)
        yield paths, [np.stack(of_size) for of_size in zip(*images, strict=True)]


def encode_views(
    encoder: PhotoEncoder, pixels: np.ndarray, views: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Vectors (photos, D) of photos, and grids (photos, views, regions, D) of so many views.

    pixels: uint8 (photos, size, size, 3). No grids, None, for 0 views. However many views there
    are, no more than `IMAGES_AT_ONCE` images go through the encoder together, or `photos`.
    """
    if not views:
        return encoder.encode(pixels), None
    images = np.stack(
        [view(photo, number) for photo in pixels for number in range(views)]
    )  # (photos * views, size, size, 3)
    at_once = max(IMAGES_AT_ONCE, len(pixels))
    parts = [
        encoder.encode_grids(images[start : start + at_once])
        for start in range(0, len(images), at_once)
    ]
    # (photos * views, D) and (photos * views, regions, D)
    vectors, grids = (np.concatenate(part) for part in zip(*parts, strict=True))
    # The vector is that of the photo itself, its view 0; all views have a grid.
    return vectors[::views], grids.reshape(len(pixels), views, *grids.shape[1:])
