"""The stage between data and training: clean captions, splits, tokenizer, all as named files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from captioning.data.dataset import Dataset
from captioning.data.descriptions import read_descriptions, write_descriptions
from captioning.data.text import Tokenizer
from captioning.errors import CaptioningError
from captioning.files.pickles import read_pickle, write_pickle
from captioning.files.text import read_json, write_json, write_text
from captioning.vision.features import Features, read_features


@dataclass(frozen=True)
class Prepared:
    """What `features.py` wrote, read back: captions and splits by file name, tokenizer, vectors.

    missing: photos that a split lists but that have no vector or no caption.
    """

    captions: dict[str, list[str]]
    splits: dict[str, list[str]]
    tokenizer: Tokenizer
    features: Features
    missing: dict[str, list[str]] = field(default_factory=dict)

    @property
    def longest(self) -> int:
        """How many words the longest caption of the training photos has."""
        return max(len(c.split()) for name in self.splits["train"] for c in self.captions[name])

    def encoded(self, split: str) -> tuple[list[str], list[int], list[list[int]]]:
        """The photos of a split, and for each of their captions the photo's place and numbers."""
        names = self.splits[split]
        pairs = [
            (place, self.tokenizer.encode(caption))
            for place, name in enumerate(names)
            for caption in self.captions[name]
        ]
        return names, [place for place, _ in pairs], [tokens for _, tokens in pairs]


def write_text_files(
    dataset: Dataset, output: Path, min_count: int = 5, words: Sequence[str] | None = None
) -> Tokenizer:
    """Write `descriptions.txt`, `splits.json` and `tokenizer.p`, fitted on train alone.

    words: a trained model's, to go on from it; nothing is fitted then.
    """
    if words is None:
        train = (row for name in dataset.splits["train"] for row in dataset.captions[name])
        tokenizer = Tokenizer.fit(train, min_count)
    else:
        tokenizer = Tokenizer(tuple(words))
    write_text(output / "descriptions.txt", write_descriptions(dataset.captions))
    write_json(output / "splits.json", dataset.listed)
    write_pickle(output / "tokenizer.p", tokenizer.numbers)
    return tokenizer


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a `tokenizer.p`; raises `CaptioningError` for anything but our own map."""
    numbers = read_pickle(path, "the tokenizer")
    if not isinstance(numbers, dict) or not all(
        isinstance(word, str) and type(number) is int for word, number in numbers.items()
    ):
        raise CaptioningError(f"{path} is no map from words to numbers; run features.py again")
    return Tokenizer.from_map(numbers)


def read_splits(folder: Path) -> dict[str, list[str]]:
    """The photos of each split as `splits.json` lists them, with or without a vector.

    Raises `CaptioningError` when the file is missing or holds anything else.
    """
    path = Path(folder) / "splits.json"
    splits = read_json(path, "the list of splits")
    if not isinstance(splits, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names)
        for names in splits.values()
    ):
        raise CaptioningError(f"{path} is no map from splits to photos")
    return splits


def read_prepared(folder: Path) -> Prepared:
    """Read everything that training needs from the folder that features.py wrote.

    Photos whose vector is missing (unreadable photos) leave their split. Raises
    `CaptioningError` when a file is missing or broken, or a split is left empty.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CaptioningError(f"the folder {folder} is missing; run features.py first")
    captions = read_descriptions(folder / "descriptions.txt")
    splits = read_splits(folder)
    tokenizer = read_tokenizer(folder / "tokenizer.p")
    features = read_features(folder)
    usable = {name for name in features.vectors if captions.get(name)}
    missing = {split: [n for n in names if n not in usable] for split, names in splits.items()}
    splits = {split: [n for n in names if n in usable] for split, names in splits.items()}
    for split in ("train", "dev"):
        if not splits.get(split):
            raise CaptioningError(
                f"the {split} split of {folder} has no photo with vector and caption; "
                "run features.py again"
            )
    return Prepared(captions, splits, tokenizer, features, missing)
