"""Which photo a caption's name means, where the two are written differently."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from captioning.data.photos import IMAGE_ENDINGS

EXAMPLES = 3
"""So many names of each side are shown where none fits the other."""


def match_names(written: Iterable[str], photos: Sequence[str], images: Path) -> dict[str, str]:
    """{written name: photo} of all names that mean one photo without doubt.

    written: names in captions and lists; photos: paths inside of the folder `images`. A name may
    differ in a folder before it, backslashes, a missing or another ending, upper and lower case,
    `#0` at its end, spaces around it, and the way Unicode writes its letters. It's in doubt when
    two photos, or two names of different photos, would fit alike. Other names are taken as paths,
    if a file is there.
    """
    known = set(photos)
    written = dict.fromkeys(written)
    found = {name: name for name in written if name in known}
    remaining = [name for name in written if name not in found]
    if not remaining:
        return found
    for key in (_tidy, _last_two, _base, _stem):
        index = _index(photos, key)
        matched = {name: index.get(key(name)) for name in remaining}
        found |= _without_doubt(matched, found, key is _tidy)
        remaining = [name for name in remaining if name not in found]
    # Paths to elsewhere: absolute ones, or out of the folder.
    for name in remaining:
        if ("/" in name or "\\" in name) and _is_file(images / name):
            found[name] = _inside(name, images, known)
    return found


def _without_doubt(
    matched: dict[str, str | None], found: dict[str, str], is_same: bool
) -> dict[str, str]:
    """Those matches whose photo no other name claims; is_same: such names are only spellings."""
    if is_same:
        return {name: photo for name, photo in matched.items() if photo}
    claims: dict[str, set[str]] = {}
    for name, photo in [*found.items(), *matched.items()]:
        if photo:
            claims.setdefault(photo, set()).add(_tidy(name))
    return {name: photo for name, photo in matched.items() if photo and len(claims[photo]) == 1}


def _index(photos: Sequence[str], key: Callable[[str], str]) -> dict[str, str | None]:
    """{key: photo}; None where two photos have the same."""
    index: dict[str, str | None] = {}
    for photo in photos:
        own = key(photo)
        index[own] = None if own in index else photo
    return index


def _tidy(name: str) -> str:
    """The name without what systems and tools add to it."""
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    name = re.sub(r"#\d+\s*$", "", name).replace("\\", "/").strip().casefold()
    return name.removeprefix("./")


def _last_two(name: str) -> str:
    """Its last folder and the file."""
    return "/".join(_tidy(name).split("/")[-2:])


def _base(name: str) -> str:
    """Its last part, without the folders."""
    return _tidy(name).rpartition("/")[2]


def _stem(name: str) -> str:
    """Its last part, without the ending of an image file."""
    base = _base(name)
    stem, dot, ending = base.rpartition(".")
    return stem if dot and f".{ending}" in IMAGE_ENDINGS else base


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _inside(name: str, images: Path, known: set[str]) -> str:
    """The path inside of `images` if the name is an absolute path there, otherwise the name."""
    try:
        inside = Path(name).relative_to(images.absolute()).as_posix()
    except ValueError:
        return name
    return inside if inside in known else name


def first_few(names: Iterable[str]) -> str:
    """Examples of names, for messages."""
    return ", ".join(sorted(names)[:EXAMPLES])
