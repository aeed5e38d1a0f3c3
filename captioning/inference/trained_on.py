"""`trained_on.txt`: digests of the photos that a model was trained on."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from captioning.data.flickr8k_photos import names_elsewhere
from captioning.files.text import read_text, write_text

TRAINED_ON = "trained_on.txt"

DIGITS = 12
"""So many hexadecimal digits of a SHA-256 are kept: 48 bits, with which no two of a million photos
are likely to agree by chance (1 in 500)."""


def write_trained_on(
    folder: Path, names: list[str], contents: dict[str, str], before: Iterable[Path] = ()
) -> None:
    """Write which photos a model was trained on: a row of digests a photo.

    names: the training photos' file names, of which Flickr8k's count under Flickr30k's names as
    well; contents: their contents' SHA-256 in hexadecimal digits,
    where known; before: the folders of the model that was trained further and of the teachers,
    whose photos count as well.
    """
    rows = [
        " ".join(filter(None, [digest_of_name(n), contents.get(n, "")[:DIGITS], *_elsewhere(n)]))
        for n in names
    ]
    for other in before:
        if (Path(other) / TRAINED_ON).is_file():
            rows += read_text(Path(other) / TRAINED_ON, "the training photos").splitlines()
    known: set[str] = set()
    kept = []
    for row in rows:
        digests = set(row.split())
        if not digests <= known:  # an older version's row of the same photo has fewer digests
            kept.append(row)
            known |= digests
    write_text(Path(folder) / TRAINED_ON, "".join(f"{row}\n" for row in kept))


def _elsewhere(name: str) -> list[str]:
    return sorted(map(digest_of_name, names_elsewhere(name, {})))


def trained_on(
    folder: Path,
    names: Iterable[str],
    contents: dict[str, str] | None = None,
    flickr8k: dict[str, str] | None = None,
) -> set[str] | None:
    """Those of the photos that the model was trained on; None where its folder has no list.

    By file name or, where `contents` has their SHA-256, by content: a photo under another name
    is the same photo. Flickr8k's photos are found under Flickr30k's names, too, and the other way
    round where `flickr8k` has {id: name} of them.
    """
    if not (Path(folder) / TRAINED_ON).is_file():
        return None
    known = set(read_text(Path(folder) / TRAINED_ON, "the training photos").split())
    contents = contents or {}
    # Digests of names and of contents stand in one set: they can't be told apart, and needn't be.
    return {
        name
        for name in names
        if contents.get(name, "")[:DIGITS] in known
        or any(digest_of_name(n) in known for n in (name, *names_elsewhere(name, flickr8k or {})))
    }


def digest_of_name(name: str) -> str:
    """The first `DIGITS` hexadecimal digits of the SHA-256 of a file name."""
    # File names needn't be UTF-8.
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]
