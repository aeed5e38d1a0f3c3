"""Data of other projects: `features.p`, `descriptions.txt` and lists, into a prepared folder."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from captioning.data.descriptions import read_descriptions, write_descriptions
from captioning.data.keras_tokenizer import read_keras_tokenizer
from captioning.data.photos import IMAGE_ENDINGS
from captioning.data.splits import SPLITS, read_splits, split_by_name
from captioning.data.text import Tokenizer
from captioning.errors import CaptioningError
from captioning.files.pickles import read_pickle, write_pickle
from captioning.files.text import write_json, write_text
from captioning.vision.feature_writer import write_features


@dataclass(frozen=True)
class OtherData:
    """Where another project's data are.

    features: vectors by photo, a pickle; descriptions: captions by photo; text: a folder with the
    lists of the splits, or None; tokenizer: whose vocabulary is taken over, or None.
    """

    features: Path
    descriptions: Path
    text: Path | None = None
    tokenizer: Path | None = None


def read_vectors(path: Path) -> dict[str, np.ndarray]:
    """{photo: float32 (1, D)} of a pickle of another project.

    There a vector may have any shape of D numbers, in half, single or double precision, and a name
    may have folders before it. Raises `CaptioningError` naming the photo whose vector isn't one.
    """
    remedy = "make it again where it was made, as a map of names to arrays"
    found = read_pickle(path, "the vectors", remedy)
    if not isinstance(found, dict) or not found:
        raise CaptioningError(
            f"{path} holds no vectors: a map of photos' names to arrays was expected, not "
            f"{type(found).__name__}"
        )
    vectors: dict[str, np.ndarray] = {}
    sizes: dict[int, str] = {}  # the first photo of each size
    for key, value in found.items():
        name = _base(_text(key))
        array = np.asarray(value) if isinstance(value, np.ndarray | list) else np.zeros(0, "U1")
        if not name or array.dtype.kind not in "fiu" or array.size != max(array.shape, default=0):
            is_array = isinstance(value, np.ndarray)
            what = f"an array of the shape {array.shape}" if is_array else type(value).__name__
            raise CaptioningError(f"{path}: of the photo {key!r:.60} it has {what}, no vector")
        if not np.isfinite(array).all():
            raise CaptioningError(f"{path}: the vector of {name} is not finite (NaN)")
        if name in vectors:
            raise CaptioningError(f"{path}: two photos are named {name}, in two folders")
        vectors[name] = array.astype(np.float32).reshape(1, -1)
        sizes.setdefault(array.size, name)
    if len(sizes) > 1 or 0 in sizes:
        told = " and ".join(f"{size} numbers of {name}" for size, name in list(sizes.items())[:2])
        raise CaptioningError(f"{path} holds vectors of several sizes: {told}")
    return vectors


def write_other_data(
    data: OtherData, vectors: dict[str, np.ndarray], made_by: dict[str, Any], output: Path
) -> dict[str, int]:
    """Write the prepared folder of another project's data; how many photos each split has.

    vectors: as `read_vectors` gives them; made_by: the signature of their encoder. Names with and
    without an ending are one photo, unless a file has both. Raises `CaptioningError` when the
    photos of the vectors aren't those of the captions.
    """
    captions = read_descriptions(data.descriptions)
    lists = read_splits(data.text, needed=("train",)) if data.text else None
    one = _names([vectors, captions, *(lists or {}).values()])
    vectors = {one[name]: vector for name, vector in vectors.items()}
    captions = _renamed(captions, one)
    common = vectors.keys() & captions.keys()
    if not common:
        raise CaptioningError(
            f"no photo of {data.features} ({next(iter(vectors))}, …) is among those of "
            f"{data.descriptions} ({next(iter(captions), 'none')}, …)"
        )
    # Shared out are those that can be trained with: some have captions and no vector.
    listed = lists or split_by_name(sorted(common))
    splits = {
        split: [one.get(_base(name), name) for name in listed.get(split, [])] for split in SPLITS
    }
    if data.tokenizer:
        tokenizer = Tokenizer(tuple(read_keras_tokenizer(data.tokenizer).vocabulary))
    else:
        train = [row for name in splits["train"] for row in captions.get(name, [])]
        tokenizer = Tokenizer.fit(train, 1)
    write_text(output / "descriptions.txt", write_descriptions(captions))
    write_json(output / "splits.json", splits)
    write_pickle(output / "tokenizer.p", tokenizer.numbers)
    write_features(output, vectors, made_by)
    return {split: len(common & set(names)) for split, names in splits.items()}


def _renamed(captions: dict[str, list[str]], one: dict[str, str]) -> dict[str, list[str]]:
    renamed: dict[str, list[str]] = {}
    for name, rows in captions.items():
        renamed.setdefault(one[_base(name)], []).extend(rows)
    return renamed


def _text(key: Any) -> str:
    """A key of a map as a photo's name: text, bytes of Python 2, or a number, as COCO's ids are."""
    if isinstance(key, bytes):
        return key.decode("utf-8", "replace")
    return str(key) if isinstance(key, str | int) else ""


def _base(name: str) -> str:
    """A photo's name without folders before it, of Windows or Unix, and without `.jpg#0`'s end."""
    return re.sub(r"(?<=\.)(\w+)#\d+$", r"\1", name.replace("\\", "/").rpartition("/")[2])


def _stem(name: str) -> str:
    """A photo's name without the ending of an image."""
    stem, _, ending = name.rpartition(".")
    return stem if f".{ending.lower()}" in IMAGE_ENDINGS else name


def _names(sources: list[Iterable[str]]) -> dict[str, str]:
    """One name for each photo: {name in any of the sources: that with an ending, if there is one}.

    Where a source has two photos of the same stem, every name stays.
    """
    names = [list(dict.fromkeys(map(_base, source))) for source in sources]
    every = [name for source in names for name in source]
    if any(len(set(map(_stem, source))) < len(source) for source in names):
        return {name: name for name in every}
    best: dict[str, str] = {}
    for name in every:
        stem = _stem(name)
        if len(name) > len(best.get(stem, "")):
            best[stem] = name
    return {name: best[_stem(name)] for name in every}
