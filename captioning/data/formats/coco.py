"""COCO's captions: https://cocodataset.org/#format-data, `captions_train2017.json` and the like."""

from pathlib import Path
from typing import Any

from captioning.data.source import BrokenRow, CaptionRow, Columns, Listing, Rows, Source
from captioning.data.splits import split_in_name
from captioning.files.text import read_json

WHAT = "captions_*.json"

ONE_FILE = False


def find(listing: Listing) -> list[Path]:
    """A file a split, as a rule."""
    return [path for path in listing.ending(".json") if path.name.startswith("captions_")]


def read(files: list[Path], root: Path, columns: Columns) -> Source:
    """Images and annotations of all files; the split is in a file's name."""
    return Source("coco", files, (row for path in files for row in _rows(path)), root)


def _rows(path: Path) -> Rows:
    content = read_json(path, "COCO's captions")
    split = split_in_name(path.stem)
    images, annotations = (_list(content, key) for key in ("images", "annotations"))
    if images is None or annotations is None:
        problem = 'expected an object with the lists "images" and "annotations"'
        yield BrokenRow(path, "line 1", problem, ends_file=True)
        return
    names: dict[str, str] = {}  # ids that are numbers in one list are texts in others
    for place, image in enumerate(images, 1):
        name = image.get("file_name") if isinstance(image, dict) else None
        if isinstance(name, str) and name and isinstance(image.get("id"), (int, str)):
            names[str(image["id"])] = name
        else:
            yield BrokenRow(path, f"image {place}", 'expected "id" and "file_name"')
    for place, annotation in enumerate(annotations, 1):
        number = annotation.get("image_id") if isinstance(annotation, dict) else None
        caption = annotation.get("caption") if isinstance(annotation, dict) else None
        if not isinstance(number, (int, str)) or not isinstance(caption, str):
            yield BrokenRow(path, f"annotation {place}", 'expected "image_id" and "caption"')
        elif str(number) not in names:
            problem = f"its image {number!r} is none of the {len(names):,} images"
            yield BrokenRow(path, f"annotation {place}", problem)
        else:
            yield CaptionRow(names[str(number)], caption, split)


def _list(content: Any, key: str) -> list[Any] | None:
    value = content.get(key) if isinstance(content, dict) else None
    return value if isinstance(value, list) else None
