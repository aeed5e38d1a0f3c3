"""A folder of photos -> vectors in the store, photos decoded while the network works."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from captioning.vision.encoders import Encoder
from captioning.vision.feature_writer import FeatureWriter
from captioning.vision.features import Features
from captioning.vision.images import MAX_PIXELS, UnreadableImageError, load_array
from captioning.vision.stamps import Stamp, stamp_of
from captioning.vision.views import view

DECODING_THREADS = 2


IMAGES_AT_ONCE = 16
"""Views of the same few photos go through the encoder together."""


def read_batches(
    paths: Iterable[Path],
    size: int,
    batch_size: int,
    failed: dict[Path, str],
    max_pixels: int = MAX_PIXELS,
) -> Iterator[tuple[list[Path], np.ndarray]]:
    """Give (paths, images): uint8 images (up to batch_size, size, size, 3), decoded ahead.

    A photo that can't be read, or has more than `max_pixels`, is left out and named in `failed`
    with the reason. At most two batches wait in memory, however many photos there are.
    """

    def read(path: Path) -> np.ndarray | str:
        try:
            return load_array(path, size, max_pixels)
        except UnreadableImageError as error:
            return str(error)

    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        waiting: list = []
        remaining = iter(paths)
        while group := tuple(islice(remaining, batch_size)):
            waiting.append((group, [pool.submit(read, path) for path in group]))
            if len(waiting) > 1:
                yield from _collect(*waiting.pop(0), failed)
        for entry in waiting:
            yield from _collect(*entry, failed)


def _collect(group: tuple, futures: list, failed: dict[Path, str]) -> Iterator[tuple]:
    results = [future.result() for future in futures]
    failed.update((p, r) for p, r in zip(group, results, strict=True) if isinstance(r, str))
    kept = [(p, r) for p, r in zip(group, results, strict=True) if not isinstance(r, str)]
    if kept:
        yield [path for path, _ in kept], np.stack([image for _, image in kept])


def extract_features(
    encoder: Encoder,
    images: Path,
    names: list[str],
    output: Path,
    batch_size: int = 16,
    views: int = 0,
    max_pixels: int = MAX_PIXELS,
) -> Features:
    """Encode the photos `names` of the folder `images` into `output`, going on where it stopped.

    views: of how many of `images.VIEWS` of each photo the grid is kept, 0 for vectors alone.
    Shows a progress bar on standard error. Raises `CaptioningError` when the disk refuses, or
    the encoder gives vectors that aren't finite.
    """
    encoder.compiled = True  # a run that goes on gives the same bits as one that was never stopped
    writer = FeatureWriter(output, encoder.signature(), views)
    left = [name for name in names if not writer.is_done(name, images / name)]
    name_of = {images / name: name for name in left}
    stamps: dict[str, Stamp] = {}
    failed: dict[Path, str] = {}

    def stamped() -> Iterator[Path]:
        for path, name in name_of.items():
            stamps[name] = stamp_of(path)  # before it is decoded: what changes later is seen
            yield path

    try:
        with tqdm(
            total=len(names),
            initial=len(names) - len(left),
            unit=" photos",
            desc=encoder.settings.name,
            smoothing=0.1,
        ) as bar:
            size = encoder.settings.size
            for paths, pixels in read_batches(stamped(), size, batch_size, failed, max_pixels):
                batch = [name_of[path] for path in paths]
                vectors, grids = encode_views(encoder, pixels, views)
                writer.add(
                    batch,
                    [stamps[name] for name in batch],
                    vectors,
                    grids,
                    _told(failed, name_of, stamps, writer),
                )
                bar.update(len(batch))
    finally:
        writer.close()
    writer.failed |= {name_of[path]: reason for path, reason in failed.items()}
    return writer.finish(names)


def _told(
    failed: dict[Path, str],
    name_of: dict[Path, str],
    stamps: dict[str, Stamp],
    writer: FeatureWriter,
) -> dict[str, tuple[Stamp, str]]:
    """The stamps and reasons of the failed photos that the writer doesn't know of."""
    names = {name_of[path]: reason for path, reason in failed.items()}
    return {n: (stamps[n], reason) for n, reason in names.items() if n not in writer.failed}


def encode_views(
    encoder: Encoder, pixels: np.ndarray, views: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Vectors (photos, D) of photos, and grids (photos, views, regions, D) of so many views.

    pixels: uint8 (photos, size, size, 3). No grids, None, for 0 views. However many views there
    are, no more than `IMAGES_AT_ONCE` images go through the encoder together, or `photos`.
    """
    if not views:
        return encoder.encode(pixels), None
    seen = np.stack([view(photo, n) for photo in pixels for n in range(views)])
    at_once = max(IMAGES_AT_ONCE, len(pixels))
    parts = [
        encoder.encode_grids(seen[start : start + at_once])
        for start in range(0, len(seen), at_once)  # (photos * views, size, size, 3)
    ]
    vectors, grids = (np.concatenate(part) for part in zip(*parts, strict=True))
    return vectors[::views], grids.reshape(len(pixels), views, *grids.shape[1:])
