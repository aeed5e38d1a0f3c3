"""All that the files of a dataset say, faults included: what `Dataset` and the checks go by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from captioning.data.names import first_few, match_names
from captioning.data.photos import find_photos, list_photos
from captioning.data.source import BrokenRow, Source
from captioning.data.splits import only_known, read_splits, with_dev
from captioning.data.text import clean_caption, is_cut


@dataclass
class Contents:
    """What a source holds.

    photos: all of them; captions: {photo: its clean captions, "" for an empty one}, where no photo
    fits under the name as it is written; broken: rows that are none; too_long: photos of captions
    with more than `max_words` words, which are left out; renamed: "written = photo" where a photo
    was found by another spelling; unwritable: names that no UTF-8 file can hold; cut: photos whose
    captions were cut into characters; own_splits: those that the rows name.
    """

    source: Source
    max_words: int
    photos: list[str] = field(default_factory=list)
    captions: dict[str, list[str]] = field(default_factory=dict)
    broken: list[BrokenRow] = field(default_factory=list)
    too_long: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    other_splits: list[str] = field(default_factory=list)
    unwritable: list[str] = field(default_factory=list)
    own_splits: dict[str, list[str]] = field(default_factory=dict)

    @property
    def files(self) -> str:
        """The files that hold the captions, for messages."""
        first, *others = self.source.files
        return f"{first} and {len(others):,} more files" if others else str(first)

    @property
    def images_shown(self) -> str:
        """Where the photos are, for messages."""
        return self.files if self.source.packed else str(self.source.images)

    @property
    def lists_shown(self) -> str:
        """What says which photo is in which split, for messages."""
        return self.files if self.own_splits else str(self.source.files[0].parent)

    def listed(self, needed: tuple[str, ...]) -> dict[str, list[str]] | None:
        """The photos of each split by the dataset's own splits, or by lists; None without any.

        Raises `CaptioningError` as `read_splits`.
        """
        if self.own_splits:
            return with_dev(self.own_splits) if "dev" in needed else self.own_splits
        lists = read_splits(self.source.files[0].parent, needed)
        if lists is None:
            return None
        names = [name for names in lists.values() for name in names]
        photo_of = match_names(names, self.photos, self.source.images)
        return {
            split: list(dict.fromkeys(photo_of.get(name, name) for name in names))
            for split, names in lists.items()
        }

    def nothing_fits(self) -> str:
        """The message where no photo has a caption: what both sides look like."""
        if not self.photos:
            return (
                f"no photo found in {self.images_shown}; {self.files} names "
                f"{first_few(self.captions)}; name the folder of photos with --images"
            )
        if set(self.photos) & set(self.captions):
            if self.too_long:
                return (
                    f"all captions of {self.files} have more than {self.max_words} words or none; "
                    "--max-words is the limit"
                )
            return f"all captions of {self.files} are empty"
        return (
            f"no name in {self.files} is a photo's of {self.images_shown}: "
            f"captions are of {first_few(self.captions)}, photos are {first_few(self.photos)}"
        )


def read_contents(source: Source, cleaning: Mapping[str, Any], max_words: int) -> Contents:
    """Read a source to its end and find the photos that its captions are of.

    Raises `CaptioningError` where it can't be read at all, but not for single rows.
    """
    contents = Contents(source, max_words)
    raw: dict[str, list[str]] = {}
    in_split: dict[tuple[str, str], None] = {}  # as a set that keeps its order
    for row in source.rows:
        if isinstance(row, BrokenRow):
            contents.broken.append(row)
            continue
        if not _is_writable(row.image):
            contents.unwritable.append(row.image)
            continue
        raw.setdefault(row.image, []).append(row.caption)
        if row.split:
            in_split[row.image, row.split] = None
    contents.photos = list(source.packed) or photos_in(source)
    photo_of = match_names(raw, contents.photos, source.images)
    known = set(contents.photos)
    for name, rows in raw.items():
        photo = photo_of.get(name, name)
        if photo != name and not photo.endswith(f"/{name}"):  # a folder below is nothing to tell
            contents.renamed.append(f"{name} = {photo}")
        if name in photo_of and photo not in known:  # a file elsewhere
            known.add(photo)
            contents.photos.append(photo)
        _clean(contents, photo, rows, cleaning)
    splits: dict[str, list[str]] = {}
    for name, split in in_split:
        splits.setdefault(split, []).append(photo_of.get(name, name))
    contents.own_splits, contents.other_splits = only_known(splits)
    return contents


def _is_writable(name: str) -> bool:
    """Whether `descriptions.txt` can hold the name: JSON can tell halves of characters."""
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def photos_in(source: Source) -> list[str]:
    """The image files of a source. Raises `CaptioningError` when its folder is missing."""
    if source.all_photos:
        return list_photos(source.images, recursive=True)
    return find_photos(source.images)


def _clean(contents: Contents, photo: str, rows: list[str], cleaning: Mapping[str, Any]) -> None:
    """Add the clean captions of a photo; those that are too long go to `too_long`."""
    kept = contents.captions.setdefault(photo, [])
    for raw in rows:
        caption = clean_caption(raw, cleaning)
        if caption.count(" ") >= contents.max_words:
            contents.too_long.append(photo)
            continue
        kept.append(caption)
        if not caption.isascii() and is_cut(caption):
            contents.cut.append(photo)
