"""A folder of photos -> features on disk, photos decoded while the network computes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from captioning.vision.batches import encode_views, read_batches
from captioning.vision.encoders import PhotoEncoder
from captioning.vision.feature_writer import FeatureWriter
from captioning.vision.features import Features
from captioning.vision.images import MAX_PIXELS
from captioning.vision.packed import Photo
from captioning.vision.stamps import Stamp, stamp_of


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


def extract_features(
    encoder: PhotoEncoder,
    images: Path | Callable[[str], Photo],
    names: list[str],
    output: Path,
    settings: ExtractionSettings | None = None,
) -> Features:
    """Encode the photos `names` into `output`, going on after a stop.

    images: their folder, or what gives where the photo of a name is read from.
    Gives the features without their grids, which `read_features` maps. Shows a progress bar on
    standard error. Raises `CaptioningError` when the disk refuses, or the encoder gives vectors
    that aren't finite.
    """
    from tqdm import tqdm

    settings = settings or ExtractionSettings()
    # From the first photo on: a run that was stopped and continued gives the same bits as one
    # that never was, though each begins with another photo.
    encoder.compiled = True
    writer = FeatureWriter(output, encoder.signature(), settings.views)
    where = images if callable(images) else images.joinpath
    photos = {name: where(name) for name in names}
    remaining = {name: p for name, p in photos.items() if not writer.is_done(name, p)}
    try:
        with tqdm(
            total=len(names),
            initial=len(names) - len(remaining),
            unit=" photos",
            desc=encoder.settings.name,
            smoothing=0.1,
        ) as bar:
            for count in _encode_into(writer, encoder, remaining, settings):
                bar.update(count)
    finally:
        writer.close()
    return writer.finish(names)


def _encode_into(
    writer: FeatureWriter,
    encoder: PhotoEncoder,
    photos: dict[str, Photo],
    settings: ExtractionSettings,
) -> Iterator[int]:
    """Encode the photos and add them to the writer; give the number of photos of each batch."""
    name_of = {photo: name for name, photo in photos.items()}
    stamps: dict[str, Stamp] = {}
    failed: dict[Photo, str] = {}

    def stamped() -> Iterator[Photo]:
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
