"""The prepared folder between data and training: clean captions, splits, tokenizer, features."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from captioning.data.dataset import Dataset
from captioning.data.descriptions import read_descriptions, write_descriptions
from captioning.data.keras_tokenizer import tokenizer_of
from captioning.data.text import CLEANING, CLEANINGS, FIRST_CLEANING, Tokenizer
from captioning.data.token_rows import PhotoRows, TokenRows
from captioning.errors import CaptioningError, command_line
from captioning.files.folders import check_folder, check_parts
from captioning.files.pickles import read_pickle, write_pickle
from captioning.files.stand_ins import PickledTokenizer
from captioning.files.text import read_json, write_json, write_text
from captioning.vision.features import PARTS, Features, read_features
from captioning.vision.sharded_features import is_sharded

_ORIGIN = "dataset.json"
"""What the captions are from, and by which rules they were cleaned."""


@dataclass(frozen=True)
class Prepared:
    """A prepared folder, as the features command writes it.

    captions: {file name: clean captions}; splits: {split: file names} of photos that have both a
    vector and captions; missing: {split: file names} of those it lists that lack one of them;
    others: the same photos' vectors by other encoders.
    """

    captions: dict[str, list[str]]
    splits: dict[str, list[str]]
    tokenizer: Tokenizer
    features: Features
    missing: dict[str, list[str]] = field(default_factory=dict)
    others: list[Features] = field(default_factory=list)

    @property
    def longest(self) -> int:
        """How many words the longest caption of the training photos has."""
        return max(len(c.split()) for name in self.splits["train"] for c in self.captions[name])

    def encoded(self, split: str) -> tuple[list[str], np.ndarray, TokenRows]:
        """The photos of a split; for each of their captions the photo's place, and its tokens."""
        names = self.splits[split]
        rows = self.encoded_by_photo(names)
        return names, np.repeat(np.arange(len(names)), rows.counts), rows.captions

    def encoded_by_photo(self, names: list[str]) -> PhotoRows:
        """The tokens of the captions of some photos, photo by photo, without markers."""
        encode = self.tokenizer.encode
        tokens = TokenRows(encode(caption) for name in names for caption in self.captions[name])
        return PhotoRows(tokens, np.array([len(self.captions[name]) for name in names], int))


def write_text_files(
    dataset: Dataset, output: Path, min_count: int = 5, tokenizer: Tokenizer | None = None
) -> Tokenizer:
    """Write `descriptions.txt`, `splits.json`, `dataset.json`, and `tokenizer.p` of train alone.

    min_count: how often a word of the vocabulary occurs at least; tokenizer: that of a trained
    model, to train it further, instead of a fitted one.
    """
    if tokenizer is None:
        train = (row for name in dataset.splits["train"] for row in dataset.captions[name])
        tokenizer = Tokenizer.fit(train, min_count, dataset.cleaning)
    write_text(output / "descriptions.txt", write_descriptions(dataset.captions))
    # All listed names, also of unreadable photos: `read_prepared` tells what is missing.
    write_json(output / "splits.json", dataset.listed)
    write_json(output / _ORIGIN, {"source": dataset.found, "cleaning": dict(dataset.cleaning)})
    write_pickle(output / "tokenizer.p", tokenizer.numbers)
    return tokenizer


def read_tokenizer(path: Path, cleaning: Mapping[str, Any] = CLEANING) -> Tokenizer:
    """The tokenizer of a `tokenizer.p`; raises `CaptioningError` for any other content.

    Of a pickled tokenizer of Keras, as other projects keep it, the vocabulary is taken over.
    cleaning: the rules by which captions become its words.
    """
    numbers = read_pickle(path, "the tokenizer")
    if isinstance(numbers, PickledTokenizer):
        return Tokenizer(tuple(tokenizer_of(path, numbers).vocabulary), cleaning)
    # `type`, not `isinstance`: True is an int, too, but no token.
    if not isinstance(numbers, dict) or not all(
        isinstance(word, str) and type(number) is int for word, number in numbers.items()
    ):
        raise CaptioningError(
            f"{path} is no map from words to tokens; write it with: {command_line('features')}"
        )
    return Tokenizer.from_map(numbers, cleaning)


def _read_cleaning(folder: Path) -> dict[str, Any]:
    """The rules by which the captions of a prepared folder were cleaned.

    Raises `CaptioningError` for rules that this program doesn't know.
    """
    path = folder / _ORIGIN
    if not path.exists():  # written by version 1.1.0 or before
        return FIRST_CLEANING
    origin = read_json(path, "what the captions are from")
    cleaning = origin.get("cleaning") if isinstance(origin, dict) else None
    if cleaning not in CLEANINGS:
        raise CaptioningError(
            f"{path}: its captions were cleaned by {cleaning}, which this program doesn't know; "
            f"write them again with: {command_line('features')}"
        )
    return cleaning


def read_prepared_splits(folder: Path) -> dict[str, list[str]]:
    """The photos of each split as `splits.json` lists them, with or without a vector.

    Raises `CaptioningError` when the file is missing or holds anything else.
    """
    path = Path(folder) / "splits.json"
    splits = read_json(path, "the list of splits")
    if not isinstance(splits, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names)
        for names in splits.values()
    ):
        raise CaptioningError(
            f"{path} is no map from splits to photos; write it with: {command_line('features')}"
        )
    return splits


def read_prepared(folder: Path) -> Prepared:
    """Read all that training needs from a prepared folder.

    Photos without a vector (unreadable ones) or caption are taken out of their split. Raises
    `CaptioningError` when a file is missing or broken, or train or dev has no photo then.
    """
    folder = Path(folder)
    check_folder(folder, "the folder of prepared data", f"make it with: {command_line('features')}")
    parts = () if is_sharded(folder) else PARTS
    check_parts(folder, ("descriptions.txt", "splits.json", "tokenizer.p", *parts), "features")
    captions = read_descriptions(folder / "descriptions.txt")
    splits = read_prepared_splits(folder)
    tokenizer = read_tokenizer(folder / "tokenizer.p", _read_cleaning(folder))
    features = read_features(folder)
    usable = {name for name in features.vectors if captions.get(name)}
    missing = {split: [n for n in names if n not in usable] for split, names in splits.items()}
    splits = {split: [n for n in names if n in usable] for split, names in splits.items()}
    for split in ("train", "dev"):
        if not splits.get(split):
            raise CaptioningError(
                f"the {split} split of {folder} has no photo with vector and caption; "
                f"write them with: {command_line('features')}"
            )
    return Prepared(captions, splits, tokenizer, features, missing)
