"""Karpathy's splits of Flickr8k, Flickr30k and COCO, one JSON file each, with the captions.

https://cs.stanford.edu/people/karpathy/deepimagesent/
"""

from pathlib import Path
from typing import Any

from captioning.data.source import BrokenRow, CaptionRow, Columns, Listing, Rows, Source
from captioning.files.text import read_json

WHAT = "dataset_flickr8k.json, dataset_flickr30k.json or dataset_coco.json"

ONE_FILE = True


def find(listing: Listing) -> list[Path]:
    """The files; several are several datasets."""
    return listing.named("dataset_flickr8k.json", "dataset_flickr30k.json", "dataset_coco.json")


def read(files: list[Path], root: Path, columns: Columns) -> Source:
    """The images with their sentences and their split."""
    return Source("karpathy", files, _rows(files[0]), root)


def _rows(path: Path) -> Rows:
    content = read_json(path, "Karpathy's captions")
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list):
        problem = 'expected an object with the list "images"'
        yield BrokenRow(path, "line 1", problem, ends_file=True)
        return
    for place, image in enumerate(images, 1):
        found = _captions(image)
        if found is None:
            problem = 'expected "filename" and "sentences" with "raw"'
            yield BrokenRow(path, f"image {place}", problem)
        else:
            yield from found


def _captions(image: Any) -> list[CaptionRow] | None:
    if not isinstance(image, dict):
        return None
    name, folder, split = (image.get(key, "") for key in ("filename", "filepath", "split"))
    sentences = image.get("sentences")
    if not isinstance(sentences, list) or not isinstance(name, str) or not name:
        return None
    raw = [each.get("raw") if isinstance(each, dict) else None for each in sentences]
    if not all(isinstance(text, str) for text in [*raw, folder, split]):
        return None
    path = f"{folder}/{name}" if folder else name
    return [CaptionRow(path, text, split) for text in raw if text is not None]
