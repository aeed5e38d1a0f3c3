"""Flickr8k's photos in other datasets: Flickr30k holds all of them, under other names.

A photo of Flickr is `<id>_<secret>.jpg` in Flickr8k and `<id>.jpg` in Flickr30k.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from captioning.data.captions import read_captions
from captioning.data.source import BrokenRow, Rows, Source
from captioning.data.splits import read_splits
from captioning.errors import CaptioningError, command_line

_ID = re.compile(r"(?:.*[/\\])?(\d{6,11})(?:_[0-9a-f]{6,12})?(?:\.[a-z]+)?(?:#\d+)?", re.I | re.S)

_SHARED = (
    "Flickr30k holds every photo of Flickr8k: of Flickr8k's 1,000 dev photos 940 are in its train "
    "split. A model trained on the one has seen photos of the other, and scores on them mean little"
)

_WAY_OUT = "--exclude-flickr8k leaves them out"


def photo_id(name: str) -> str:
    """Flickr's number of a photo, out of its file name; "" for other names."""
    found = _ID.fullmatch(name)
    return found[1] if found else ""


def names_elsewhere(name: str, flickr8k: dict[str, str]) -> set[str]:
    """Under which names the photo is in Flickr30k, and in Flickr8k.

    flickr8k: as `read_flickr8k_names` gives.
    """
    number = photo_id(name)
    if not number:
        return set()
    return {f"{number}.jpg", flickr8k.get(number, name)} - {name}


def read_flickr8k_names(text: Path) -> dict[str, str]:
    """{id: file name} of Flickr8k's photos, by its own text files; {} where they aren't.

    text: their folder.
    """
    try:
        names = [name for name, _ in read_captions(text)]
    except CaptioningError:
        names = []
    with suppress(CaptioningError):
        names += [name for split in (read_splits(text, ()) or {}).values() for name in split]
    return {photo_id(name): name for name in names if "_" in name and photo_id(name)}


def wanted_flickr8k_names(text: Path) -> dict[str, str]:
    """As `read_flickr8k_names`; raises `CaptioningError` where the files aren't."""
    names = read_flickr8k_names(text)
    if not names:
        raise CaptioningError(
            f"--exclude-flickr8k needs Flickr8k's own lists to know its photos, and {text} holds "
            f"none; fetch them with: {command_line('features')} --download, or name their folder: "
            "--exclude-flickr8k FOLDER"
        )
    return names


def without_flickr8k(source: Source, flickr8k: dict[str, str]) -> Source:
    """The source without the captions of Flickr8k's photos, which then aren't encoded either."""
    rows = source.rows

    def kept() -> Rows:
        return (r for r in rows if isinstance(r, BrokenRow) or photo_id(r.image) not in flickr8k)

    source.rows, source.all_photos = kept(), False
    return source


def overlap_note(files: Iterable[Path], names: Iterable[str], flickr8k: dict[str, str]) -> str:
    """What to say of a dataset that holds photos of Flickr8k under other names; "" for none.

    files: of the dataset, which may be Flickr30k's by their names; names: its photos' names;
    flickr8k: {} if unknown.
    """
    own = set(flickr8k.values())
    shared = sum(photo_id(n) in flickr8k and n.rpartition("/")[2] not in own for n in names)
    if shared:
        return f"{shared:,} photos are Flickr8k's, by their ids. {_SHARED}; {_WAY_OUT}"
    is_flickr30k = any("flickr30k" in p.name or "results_2013" in p.name for p in files)
    if is_flickr30k and not flickr8k:
        return f"{_SHARED}; {_WAY_OUT}"
    return ""
