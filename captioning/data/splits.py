"""Which photo is in which split: by Flickr8k's lists, by the dataset, by a checksum of the name."""

import re
import zlib
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.text import read_text, split_lines

SPLITS = ("train", "dev", "test")

_SPLIT_FILE = "Flickr_8k.{}Images.txt"

_NAMES = {
    "train": "train",
    "training": "train",
    "restval": "train",  # Karpathy's name for what is left of COCO's validation photos
    "dev": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
    "testing": "test",
}
"""What datasets call the splits."""


def read_splits(
    text: Path, needed: tuple[str, ...] = ("train", "dev")
) -> dict[str, list[str]] | None:
    """The photos of each split as Flickr8k's lists name them; None where there is no list.

    A photo listed twice in one list counts once. Raises `CaptioningError` for a `needed` list
    that is missing or empty.
    """
    files = {split: Path(text) / _SPLIT_FILE.format(split) for split in SPLITS}
    if not any(path.exists() for path in files.values()):
        return None
    splits = {}
    for split, path in files.items():
        if path.exists() or split in needed:
            lines = split_lines(read_text(path, f"the list of the {split} split"))
            splits[split] = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
            if not splits[split] and split in needed:
                raise CaptioningError(f"the list of the {split} split {path} is empty")
    return splits


def split_by_name(
    names: list[str], needed: tuple[str, ...] = ("train", "dev")
) -> dict[str, list[str]]:
    """Share photos out by a checksum of their names: 8 of 10 train, 1 dev, 1 test.

    A photo stays in its split when others come or go, on any machine. Only where few photos leave
    one of the splits `needed` empty, it gets one of the largest split.
    """
    splits: dict[str, list[str]] = {split: [] for split in SPLITS}
    for name in names:
        place = _checksum(name) % 10
        splits["train" if place < 8 else "dev" if place == 8 else "test"].append(name)
    for split in needed:
        if not splits[split]:
            _fill(split, splits, needed)
    return splits


def _fill(split: str, splits: dict[str, list[str]], needed: tuple[str, ...]) -> None:
    """Give the split a photo of the largest one, unless that would leave a needed one empty."""
    least = {name: 1 if name in needed else 0 for name in splits}
    donor = max(splits, key=lambda name: len(splits[name]) - least[name])
    if len(splits[donor]) > least[donor]:
        photo = max(splits[donor], key=lambda name: (_checksum(name), name))
        splits[donor].remove(photo)
        splits[split].append(photo)


def with_dev(splits: dict[str, list[str]]) -> dict[str, list[str]]:
    """Splits with a dev split: where a dataset has none, a tenth of train's photos, by name."""
    if splits.get("dev") or len(splits.get("train", ())) < 2:
        return splits
    shared = split_by_name(splits["train"])
    return {**splits, "train": shared["train"] + shared["test"], "dev": shared["dev"]}


def only_known(splits: dict[str, list[str]]) -> tuple[dict[str, list[str]], list[str]]:
    """A dataset's own splits under our names, and the names that mean none of them.

    {} where all is one split: that tells nothing.
    """
    known: dict[str, list[str]] = {}
    for split, names in splits.items():
        ours = _NAMES.get(split.strip().lower())
        if ours:
            known[ours] = list(dict.fromkeys(known.get(ours, []) + names))
    others = sorted(split for split in splits if split.strip().lower() not in _NAMES)
    ordered = {split: known[split] for split in SPLITS if split in known}
    return (ordered if len(ordered) > 1 else {}), others


def split_in_name(name: str) -> str:
    """The split that the name of a file or folder says: captions_val2017.json; "" for none."""
    for word in re.findall(r"[a-z]+", name.lower()):
        if word in _NAMES:
            return word
    return ""


def _checksum(name: str) -> int:
    # Not Python's own hash: that differs from run to run.
    return zlib.crc32(name.encode("utf-8", "surrogatepass"))
