"""A folder of photos -> features on disk, photos decoded while the network computes."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from captioning.vision.encoders import PhotoEncoder
from captioning.vision.feature_writer import FeatureWriter
from captioning.vision.features import Features
from captioning.vision.images import MAX_PIXELS, UnreadableImageError, load_array
from captioning.vision.stamps import Stamp, stamp_of
from captioning.vision.views import view

DECODING_THREADS = 2

IMAGES_AT_ONCE = 16
"""Views of the same few photos go through the encoder together."""

_Group = tuple[tuple[Path, ...], list[Future[np.ndarray | str]]]
"""Photos of a batch, and of each the pixels, or the reason why there are none, to come."""


@dataclass(frozen=True)
class ExtractionSettings:
    """How `extract_features` reads and encodes photos.

    batch_size: photos a step of the network, and what a killed run loses at most; views: of how
    many of `views.VIEWS` of each photo the grid is kept, 0 for vectors alone; max_pixels: photos
    with more are refused before they are decoded.
    """

    batch_size: int = 16
    views: int = 0
    max_pixels: int = MAX_PIXELS


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

    # Threads, not processes: Pillow's decoders let go of Python's lock, and so does the network.
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        waiting: list[_Group] = []
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
    group: tuple[Path, ...], futures: list[Future[np.ndarray | str]], failed: dict[Path, str]
) -> Iterator[tuple[list[Path], np.ndarray]]:
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
        yield paths, np.stack(images)  # (photos, size, size, 3)


def extract_features(
    encoder: PhotoEncoder,
    images: Path,
    names: list[str],
    output: Path,
    settings: ExtractionSettings | None = None,
) -> Features:
    """Encode the photos `names` of the folder `images` into `output`, going on after a stop.

    Gives the features without their grids, which `read_features` maps. Shows a progress bar on
    standard error. Raises `CaptioningError` when the disk refuses, or the encoder gives vectors
    that aren't finite.
    """
    settings = settings or ExtractionSettings()
    # From the first photo on: a run that was stopped and continued gives the same bits as one
    # that never was, though each begins with another photo.
    encoder.compiled = True
    writer = FeatureWriter(output, encoder.signature(), settings.views)
    remaining = [name for name in names if not writer.is_done(name, images / name)]
    try:
        with tqdm(
            total=len(names),
            initial=len(names) - len(remaining),
            unit=" photos",
            desc=encoder.settings.name,
            smoothing=0.1,
        ) as bar:
            for photos in _encode_into(writer, encoder, images, remaining, settings):
                bar.update(photos)
    finally:
        writer.close()
    return writer.finish(names)


def _encode_into(
    writer: FeatureWriter,
    encoder: PhotoEncoder,
    images: Path,
    names: list[str],
    settings: ExtractionSettings,
) -> Iterator[int]:
    """Encode the photos and add them to the writer; give the number of photos of each batch."""
    name_of = {images / name: name for name in names}
    stamps: dict[str, Stamp] = {}
    failed: dict[Path, str] = {}

    def stamped() -> Iterator[Path]:
        for path, name in name_of.items():
            # Before it is decoded: a photo that changes in between has a stamp that does not fit
            # it any more, and is encoded again by the next run.
            stamps[name] = stamp_of(path)
            yield path

    batches = read_batches(
        stamped(), encoder.settings.size, settings.batch_size, failed, settings.max_pixels
    )
    for paths, pixels in batches:
        batch = [name_of[path] for path in paths]
        vectors, grids = encode_views(encoder, pixels, settings.views)
        new_failures = {
            name_of[path]: (stamps[name_of[path]], reason)
            for path, reason in failed.items()
            if name_of[path] not in writer.failed
        }
        writer.add(batch, [stamps[name] for name in batch], vectors, grids, new_failures)
        yield len(batch)
    # Photos that failed after the last batch are in no line of the log.
    writer.failed |= {name_of[path]: reason for path, reason in failed.items()}


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
