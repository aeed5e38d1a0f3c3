"""`trained_on.txt`: digests of the photos that a model was trained on."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from captioning.files.text import read_text, write_text

TRAINED_ON = "trained_on.txt"

DIGITS = 12
"""So many hexadecimal digits of a SHA-256 are kept: 48 bits, with which no two of a million photos
are likely to agree by chance (1 in 500)."""


def write_trained_on(
    folder: Path, names: list[str], contents: dict[str, str], before: Iterable[Path] = ()
) -> None:
    """Write which photos a model was trained on: a row of digests a photo.

    names: the training photos' file names; contents: their contents' SHA-256 in hexadecimal digits,
    where known; before: the folders of the model that was trained further and of the teachers,
    whose photos count as well.
    """
    rows = [f"{digest_of_name(n)} {contents.get(n, '')[:DIGITS]}".rstrip() for n in names]
    for other in before:
        if (Path(other) / TRAINED_ON).is_file():
            rows += read_text(Path(other) / TRAINED_ON, "the training photos").splitlines()
    write_text(Path(folder) / TRAINED_ON, "".join(f"{row}\n" for row in dict.fromkeys(rows)))


def trained_on(
    folder: Path, names: Iterable[str], contents: dict[str, str] | None = None
) -> set[str] | None:
    """Those of the photos that the model was trained on; None where its folder has no list.

    By file name or, where `contents` has their SHA-256, by content: a photo under another name
    is the same photo.
    """
    if not (Path(folder) / TRAINED_ON).is_file():
        return None
    known = set(read_text(Path(folder) / TRAINED_ON, "the training photos").split())
    contents = contents or {}
    # Digests of names and of contents stand in one set: they can't be told apart, and needn't be.
    return {n for n in names if digest_of_name(n) in known or contents.get(n, "")[:DIGITS] in known}


def digest_of_name(name: str) -> str:
    """The first `DIGITS` hexadecimal digits of the SHA-256 of a file name."""
    # File names needn't be UTF-8.
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]
