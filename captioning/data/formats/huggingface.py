"""A folder of Hugging Face's `datasets`: Arrow files, as `save_to_disk` or its cache has them.

`save_to_disk` writes `state.json`, which names the Arrow files; of a `DatasetDict` each split is a
folder, and `dataset_dict.json` lies above. A folder of the cache has `dataset_info.json` instead,
and files NAME-train.arrow or NAME-train-00000-of-00002.arrow.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from captioning.data.arrow import PackedPhotos, arrow_rows
from captioning.data.source import BrokenRow, Columns, Listing, Rows, Source
from captioning.files.text import read_json

WHAT = "state.json and *.arrow, as datasets.save_to_disk writes them"

ONE_FILE = False

_STATE, _INFO = "state.json", "dataset_info.json"


def find(listing: Listing) -> list[Path]:
    """The file that says which Arrow files there are, of each split."""
    folders = {path.parent for path in listing.ending(".arrow")}
    saved = [path for path in listing.named(_STATE) if path.parent in folders]
    return saved or [path for path in listing.named(_INFO) if path.parent in folders]


def read(files: list[Path], root: Path, columns: Columns) -> Source:
    """The rows of all splits; photos stay in the Arrow files."""
    packed = PackedPhotos()
    rows = (row for path in files for row in _rows(path, columns, packed))
    return Source("huggingface", files, rows, root, packed.photos)


def _rows(about: Path, columns: Columns, packed: PackedPhotos) -> Rows:
    for part in _saved(about) if about.name == _STATE else _cached(about):
        if isinstance(part, BrokenRow):
            yield part
            return
        path, split = part
        for row in arrow_rows(path, columns, packed):
            yield row if isinstance(row, BrokenRow) else row._replace(split=row.split or split)


def _saved(about: Path) -> Iterator[tuple[Path, str] | BrokenRow]:
    """The Arrow files that `save_to_disk` wrote, with their split."""
    state = read_json(about, "the dataset's state")
    try:
        names = [Path(part["filename"]).name for part in state["_data_files"]]
        split = str(state.get("_split") or "")
    except (TypeError, KeyError, AttributeError):
        yield BrokenRow(about, "line 1", 'expected "_data_files" with "filename"')
        return
    # What was one split and is shared out still has that one's name, "train", in each part.
    if (about.parent.parent / "dataset_dict.json").is_file():
        split = about.parent.name
    for name in names:
        yield about.parent / name, split


def _cached(about: Path) -> Iterator[tuple[Path, str] | BrokenRow]:
    """The Arrow files that `load_dataset` made, with their split."""
    info = read_json(about, "what is known of the dataset")
    try:
        splits = [str(split) for split in info["splits"]]
    except (TypeError, KeyError):
        yield BrokenRow(about, "line 1", 'expected "splits"')
        return
    for split in splits:
        for path in sorted(about.parent.glob("*.arrow")):
            # Beside them lie cache-….arrow, of functions that were mapped over the dataset.
            if re.fullmatch(rf"[^/]+-{re.escape(split)}(-\d+-of-\d+)?", path.stem):
                yield path, split
