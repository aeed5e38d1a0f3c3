"""A captioning dataset for use: photos, clean captions, splits, and what was skipped."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from captioning.data.captions import open_folders
from captioning.data.contents import Contents, read_contents
from captioning.data.source import Source
from captioning.data.splits import split_by_name
from captioning.data.text import CLEANING
from captioning.errors import CaptioningError, shown
from captioning.vision.packed import PackedPhoto, Photo

MAX_WORDS = 100
"""Longer captions are left out: the longest decides what training takes, and how much memory.

Flickr8k's longest has 36 words; one of 700 is usually rows that a quote has swallowed."""


@dataclass
class Dataset:
    """Photos with clean captions, by split, and the names of all that was skipped.

    `captions` maps a photo's name, a path inside of `images`, to its clean captions; `splits` maps
    "train", "dev" and "test" to names that have both a photo and captions; `listed` maps them to
    all names that the lists have. `photos` are those to encode; `packed` are those that are no
    files of their own; `oddities` maps a reason to names; `found` says what was read; `cleaning`
    are the rules of the captions.
    """

    images: Path
    captions: dict[str, list[str]]
    splits: dict[str, list[str]]
    listed: dict[str, list[str]]
    photos: list[str]
    oddities: dict[str, list[str]] = field(default_factory=dict)
    packed: dict[str, PackedPhoto] = field(default_factory=dict)
    found: str = ""
    cleaning: Mapping[str, Any] = field(default_factory=lambda: CLEANING)

    def photo(self, name: str) -> Photo:
        """Where a photo is read from."""
        return self.packed.get(name) or self.images / name

    def report(self) -> str:
        """A few lines for people: what was found, and what was odd, with three names of each."""
        rows = sum(map(len, self.captions.values()))
        lines = [self.found] if self.found else []
        lines.append(
            f"{len(self.photos):,} photos, {rows:,} captions; in a split: "
            + ", ".join(f"{name} {len(photos):,}" for name, photos in self.splits.items())
        )
        for what, names in self.oddities.items():
            if names:
                more = f", and {len(names) - 3:,} more" if len(names) > 3 else ""
                lines.append(f"  {what}: {len(names):,} ({', '.join(map(shown, names[:3]))}{more})")
        return "\n".join(lines)


def read_dataset(images: Path, text: Path, needed: tuple[str, ...] = ("train", "dev")) -> Dataset:
    """Read and check a dataset: a folder of photos, and a folder with captions and splits.

    As `dataset_of` a source that `open_folders` opens.
    """
    return dataset_of(open_folders(images, text), needed)


def dataset_of(
    source: Source,
    needed: tuple[str, ...] = ("train", "dev"),
    cleaning: Mapping[str, Any] = CLEANING,
    max_words: int = MAX_WORDS,
) -> Dataset:
    """The dataset of a source, checked; the splits `needed` must have photos.

    cleaning: the rules for its captions; captions of more than `max_words` words are left out.
    The splits are the dataset's own, or those of Flickr8k's lists beside the captions; without
    any, a checksum of the name decides, four photos of five are train's.

    Raises `CaptioningError` naming the file (and line) that is missing, broken or empty.
    """
    contents = read_contents(source, cleaning, max_words)
    if contents.broken:
        raise CaptioningError(str(contents.broken[0]))
    if not contents.captions:
        raise CaptioningError(f"the caption file {contents.files} is empty")
    # A photo whose captions are all empty has a key in `captions`, but no row.
    captions = {name: list(filter(None, rows)) for name, rows in contents.captions.items()}
    present = set(contents.photos)
    usable = {name for name, rows in captions.items() if rows and name in present}
    if not usable:
        raise CaptioningError(contents.nothing_fits())
    wanted = contents.listed(needed)
    is_shared = wanted is None
    if wanted is None:
        wanted = split_by_name(sorted(usable), needed)
    splits = {name: [p for p in listed if p in usable] for name, listed in wanted.items()}
    for name in needed:
        if not splits.get(name):
            raise CaptioningError(_empty_split(name, contents, wanted, len(usable), is_shared))
    used = usable.union(*wanted.values()) & present
    photos = [p for p in contents.photos if source.all_photos or p in used]
    oddities = _oddities(contents, usable, wanted)
    oddities["no split lists, split by name"] = [_shares(splits)] if is_shared else []
    found = f"read as {source.format}: {contents.files}"
    return Dataset(
        source.images, captions, splits, wanted, photos, oddities, source.packed, found, cleaning
    )


def _empty_split(
    split: str, contents: Contents, wanted: dict[str, list[str]], usable: int, is_shared: bool
) -> str:
    """Why the split is empty."""
    where = contents.images_shown
    if is_shared:
        return (
            f"it takes 2 photos with captions, one to train with and one to choose by (dev); "
            f"there is {usable} in {where}"
        )
    return (
        f"the {split} split is empty: of {len(wanted.get(split, ()))} photos that "
        f"{contents.lists_shown} lists for it, none has both a file in {where} and a caption"
    )


def _shares(splits: dict[str, list[str]]) -> str:
    if sum(map(len, splits.values())) < 30:
        return ", ".join(f"{len(names)} {split}" for split, names in splits.items())
    return "4/5 train, 1/10 dev, 1/10 test"


def _oddities(
    contents: Contents, usable: set[str], wanted: dict[str, list[str]]
) -> dict[str, list[str]]:
    """What was odd, and the names of it."""
    present = set(contents.photos)
    listed = {p for names in wanted.values() for p in names}
    counts = Counter(p for names in wanted.values() for p in names if p in usable)
    without_photo = sorted(set(contents.captions) - present)
    # A few names of Flickr8k have a number after the ending and are no file's.
    odd = [name for name in without_photo if re.search(r"\.\w+\.\d+$", name)]
    return {
        "rows whose name is no photo's": odd,
        "names that are not Unicode, left out": contents.unwritable,
        "captions without photo": [name for name in without_photo if name not in odd],
        "names taken for photos that are written otherwise": contents.renamed,
        "photos without captions": sorted(present - usable),
        "photos in no split": sorted(usable - listed),
        "in a split without photo or caption": sorted(listed - usable),
        "empty captions": [n for n, rows in contents.captions.items() for row in rows if not row],
        f"captions of more than {contents.max_words} words, left out": contents.too_long,
        "captions in scripts without spaces, cut into characters": contents.cut,
        "photos in two splits": sorted(p for p, count in counts.items() if count > 1),
        "names of splits that aren't train, dev or test": contents.other_splits,
    }
