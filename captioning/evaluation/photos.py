"""The photos to score: a split of prepared data, or a folder of photos that is encoded now."""

from collections.abc import Sequence
from pathlib import Path

from captioning.data.dataset import Dataset, read_dataset
from captioning.data.prepared import Prepared
from captioning.errors import CaptioningError
from captioning.inference.captioner import Captioner, LazyEncoder
from captioning.vision.extraction import ExtractionSettings, extract_features
from captioning.vision.features import Features, read_features

ALL = "all"
"""The split of every photo in a folder."""


NAMES_SHOWN = 10
"""So many photos are named in a message."""


def read_folder(images: Path, text: Path, split: str) -> Dataset:
    """Photos and captions of a folder, one split of which is to be scored.

    The split "all" is every photo. Photos listed for training belong to the split "train" even
    if their files are not in the folder: a copy of one under another name must not be scored
    either. Raises `CaptioningError` as `read_dataset`, and when the split is empty.
    """
    dataset = read_dataset(images, text, needed=() if split == ALL else (split,))
    dataset.listed[ALL] = dataset.photos
    dataset.splits[ALL] = [name for name in dataset.photos if dataset.captions.get(name)]
    train = dataset.listed.get("train", [])
    dataset.splits["train"] = [name for name in train if dataset.captions.get(name)]
    split_photos(dataset.splits, split)
    return dataset


def encode_folder(
    captioners: Sequence[Captioner], dataset: Dataset, split: str, scratch: Path, views: int
) -> Prepared:
    """Encode the photos of a split by the captioners' encoders into the folder `scratch`.

    views: so many of each photo, for encoders whose grids are read; any other captioner's encoders
    are among the first one's. Raises `CaptioningError` when none of the photos can be read; those
    that can't are in `missing`.
    """
    first, *others = (
        _encode(captioners, encoder, dataset, split, scratch / str(place), views)
        for place, encoder in enumerate(captioners[0].encoders)
    )
    kept = [name for name in dataset.splits[split] if name in first.vectors]
    missing = {split: [name for name in dataset.listed[split] if name not in first.vectors]}
    splits = {**dataset.splits, split: kept}
    tokenizer = captioners[0].trained_model.tokenizer
    return Prepared(dataset.captions, splits, tokenizer, first, missing, others)


def _encode(
    captioners: Sequence[Captioner],
    encoder: LazyEncoder,
    dataset: Dataset,
    split: str,
    scratch: Path,
    views: int,
) -> Features:
    """The vectors, and grids where any captioner reads them, of one of the encoders."""
    signature = encoder.model.encoder
    reads_grids = any(
        own.reads_grids and own.model.encoder == signature
        for captioner in captioners
        for own in captioner.encoders
    )
    names = dataset.splits[split]
    settings = ExtractionSettings(views=views if reads_grids else 0)
    features = extract_features(encoder.encoder, dataset.images, names, scratch, settings)
    if not features.vectors:
        name, reason = next(iter(features.failed.items()))
        raise CaptioningError(
            f"none of the {len(names):,} photos of the {split} split can be read: {name}: {reason}"
        )
    return read_features(scratch)  # as extracted, and with the grids mapped from their file


def split_photos(splits: dict[str, list[str]], split: str) -> list[str]:
    """The photos of a split; raises `CaptioningError` when there are none."""
    names = splits.get(split) or []
    if not names:
        known = ", ".join(name for name, photos in splits.items() if photos)
        raise CaptioningError(f"the {split} split is empty; there are photos in: {known}")
    return names


def first_names(names: list[str]) -> str:
    """The first `NAMES_SHOWN` names and how many more there are, for a message."""
    more = f", and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
