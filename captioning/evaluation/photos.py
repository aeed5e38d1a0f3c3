"""The photos to score: a split of prepared data, or a folder of photos that is encoded now."""

from pathlib import Path

from captioning.data.dataset import Dataset, read_dataset
from captioning.data.prepared import Prepared
from captioning.errors import CaptioningError
from captioning.inference.captioner import Captioner
from captioning.vision.extraction import ExtractionSettings, extract_features
from captioning.vision.features import read_features

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
    captioner: Captioner, dataset: Dataset, split: str, scratch: Path, views: int
) -> Prepared:
    """Encode the photos of a split, with so many views of each, into the folder `scratch`.

    Raises `CaptioningError` when none of them can be read; those that can't are in `missing`.
    """
    names = dataset.splits[split]
    settings = ExtractionSettings(views=views)
    features = extract_features(captioner.encoder, dataset.images, names, scratch, settings)
    if not features.vectors:
        name, reason = next(iter(features.failed.items()))
        raise CaptioningError(
            f"none of the {len(names):,} photos of the {split} split can be read: {name}: {reason}"
        )
    features = read_features(scratch)  # as extracted, and with the grids mapped from their file
    kept = [name for name in names if name in features.vectors]
    missing = {split: [name for name in dataset.listed[split] if name not in features.vectors]}
    splits = {**dataset.splits, split: kept}
    return Prepared(dataset.captions, splits, captioner.trained_model.tokenizer, features, missing)


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
