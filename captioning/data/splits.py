"""Which photo is in which split: by Flickr8k's lists, or by a checksum of the name."""

import zlib
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.text import read_text

SPLITS = ("train", "dev", "test")

_SPLIT_FILE = "Flickr_8k.{}Images.txt"


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
            lines = read_text(path, f"the list of the {split} split").split("\n")
            splits[split] = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
            if not splits[split] and split in needed:
                raise CaptioningError(f"the list of the {split} split {path} is empty")
    return splits


def split_by_name(names: list[str]) -> dict[str, list[str]]:
    """Share photos out by a checksum of their names: 8 of 10 train, 1 dev, 1 test.

    A photo stays in its split when others come or go, on any machine.
    """
    splits: dict[str, list[str]] = {split: [] for split in SPLITS}
    for name in names:
        # Not Python's own hash: that differs from run to run.
        place = zlib.crc32(name.encode()) % 10
        splits["train" if place < 8 else "dev" if place == 8 else "test"].append(name)
    return splits
