"""`trained_on.txt`: digests of the photos that a model was trained on."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from captioning.files.text import read_text, write_text

TRAINED_ON = "trained_on.txt"


DIGITS = 12
"""So many hexadecimal digits of a digest are kept."""


def write_trained_on(
    folder: Path, names: list[str], contents: dict[str, str], before: Iterable[Path] = ()
) -> None:
    """Write down which photos a model was trained on: a row of digests a photo.

    They are of the file's name and, where `contents` has its SHA-256, of its content. before: the
    folders of the model that was trained further and of the teachers, whose photos count as well.
    """
    rows = [
        " ".join(filter(None, (digest_of_name(n), contents.get(n, "")[:DIGITS]))) for n in names
    ]
    for other in before:
        if (Path(other) / TRAINED_ON).is_file():
            rows += read_text(Path(other) / TRAINED_ON, "the training photos").splitlines()
    write_text(Path(folder) / TRAINED_ON, "".join(f"{row}\n" for row in dict.fromkeys(rows)))


def trained_on(
    folder: Path, names: Iterable[str], contents: dict[str, str] | None = None
) -> set[str] | None:
    """Those of the photos that a model's folder lists as trained on; None where it has no list.

    By file name or, where `contents` has their SHA-256, by content: a photo under another name
    is the same photo.
    """
    if not (Path(folder) / TRAINED_ON).is_file():
        return None
    known = set(read_text(Path(folder) / TRAINED_ON, "the training photos").split())
    contents = contents or {}
    return {n for n in names if digest_of_name(n) in known or contents.get(n, "")[:DIGITS] in known}


def digest_of_name(name: str) -> str:
    # File names needn't be UTF-8.
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]
