"""A folder that Hugging Face's `datasets` wrote with `save_to_disk`: Arrow files, one a part.

`dataset_dict.json` names the splits, a folder each; `state.json` in each names its files.
"""

from pathlib import Path

from captioning.data.arrow import arrow_rows
from captioning.data.source import BrokenRow, Columns, Listing, Rows, Source
from captioning.files.text import read_json
from captioning.vision.packed import PackedPhoto

WHAT = "state.json and *.arrow, as datasets.save_to_disk writes them"

ONE_FILE = False


def find(listing: Listing) -> list[Path]:
    """The file that says which Arrow files there are, of each split."""
    states = listing.named("state.json")
    return [path for path in states if any(path.parent.glob("*.arrow"))]


def read(files: list[Path], root: Path, columns: Columns) -> Source:
    """The rows of all splits; photos stay in the Arrow files."""
    packed: dict[str, PackedPhoto] = {}
    rows = (row for path in files for row in _rows(path, columns, packed))
    return Source("huggingface", files, rows, root, packed)


def _rows(state_file: Path, columns: Columns, packed: dict[str, PackedPhoto]) -> Rows:
    state = read_json(state_file, "the dataset's state")
    try:
        names = [Path(part["filename"]).name for part in state["_data_files"]]
        split = str(state.get("_split") or state_file.parent.name)
    except (TypeError, KeyError, AttributeError):
        yield BrokenRow(state_file, "line 1", 'expected "_data_files" with "filename"')
        return
    for name in names:
        for row in arrow_rows(state_file.parent / name, columns, packed):
            yield row if isinstance(row, BrokenRow) else row._replace(split=row.split or split)
