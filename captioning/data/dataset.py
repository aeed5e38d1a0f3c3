"""A captioning dataset for use: photos, clean captions, splits, and what was skipped."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from captioning.data.captions import read_captions
from captioning.data.photos import list_photos
from captioning.data.splits import read_splits, split_by_name
from captioning.data.text import clean_caption
from captioning.errors import CaptioningError, shown


@dataclass
class Dataset:
    """Photos with clean captions, by split, and the names of all that was skipped.

    `captions` maps a photo's file name to its clean captions; `splits` maps "train", "dev" and
    "test" to file names that have both a photo and captions; `listed` maps them to all names
    that the lists have. `photos` are all image files; `oddities` maps a reason to names.
    """

    images: Path
    captions: dict[str, list[str]]
    splits: dict[str, list[str]]
    listed: dict[str, list[str]]
    photos: list[str]
    oddities: dict[str, list[str]] = field(default_factory=dict)

    def report(self) -> str:
        """A few lines for people: what was found, and what was odd, with three names of each."""
        rows = sum(map(len, self.captions.values()))
        lines = [
            f"{len(self.photos):,} photos, {rows:,} captions; in a split: "
            + ", ".join(f"{name} {len(photos):,}" for name, photos in self.splits.items())
        ]
        for what, names in self.oddities.items():
            if names:
                more = f", and {len(names) - 3:,} more" if len(names) > 3 else ""
                lines.append(f"  {what}: {len(names):,} ({', '.join(map(shown, names[:3]))}{more})")
        return "\n".join(lines)


def read_dataset(images: Path, text: Path, needed: tuple[str, ...] = ("train", "dev")) -> Dataset:
    """Read and check a dataset: a folder of photos, and a folder with captions and splits.

    The captions are Flickr8k's `Flickr8k.token.txt` (rows `name.jpg#k<TAB>caption`) or a table
    `captions.txt`/`captions.csv` with the columns `image,caption`, or the app's
    `corrections.jsonl`. The splits are Flickr8k's lists; without any list, a checksum of the name
    decides, four photos of five are train's. The splits `needed` must have photos.

    Raises `CaptioningError` naming the file (and line) that is missing, broken or empty.
    """
    photos = list_photos(images)
    raw = read_captions(text)
    captions, odd_rows, empty = _clean(raw)
    present = set(photos)
    # A photo whose captions are all empty has a key in `captions`, but no row.
    usable = {name for name, rows in captions.items() if rows and name in present}
    lists = read_splits(text, needed)
    wanted = split_by_name(sorted(usable)) if lists is None else lists
    splits = {name: [p for p in listed if p in usable] for name, listed in wanted.items()}
    for name in needed:
        if not splits.get(name):
            raise CaptioningError(
                f"the {name} split is empty: of {len(wanted.get(name, ()))} photos that {text} "
                f"lists for it, none has both a file in {images} and a caption"
            )
    listed = {p for names in wanted.values() for p in names}
    counts = Counter(p for names in splits.values() for p in names)
    shares = "4/5 train, 1/10 dev, 1/10 test"
    oddities = {
        "rows whose name is no photo's": odd_rows,
        "captions without photo": sorted(set(captions) - present),
        "photos without captions": sorted(present - usable),
        "photos in no split": sorted(usable - listed),
        "in a split without photo or caption": sorted(listed - usable),
        "empty captions": empty,
        "photos in two splits": sorted(p for p, count in counts.items() if count > 1),
        "no split lists, split by name": [shares] if lists is None else [],
    }
    return Dataset(Path(images), captions, splits, wanted, photos, oddities)


def _clean(rows: list[tuple[str, str]]) -> tuple[dict[str, list[str]], list[str], list[str]]:
    """Clean captions by photo; the odd names (`x.jpg.1`); the photos of empty captions."""
    captions: dict[str, list[str]] = {}
    odd, empty = [], []
    for name, raw in rows:
        # A few names of Flickr8k have a number after the ending and are no file's.
        if re.search(r"\.\w+\.\d+$", name):
            odd.append(name)
            continue
        caption = clean_caption(raw)
        kept = captions.setdefault(name, [])
        if caption:
            kept.append(caption)
        else:
            empty.append(name)
    return captions, odd, empty
