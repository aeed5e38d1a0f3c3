"""`history.csv`: a row an epoch."""

import csv
import io
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.text import read_text, write_text


def write_history(folder: Path, history: list[dict[str, float]]) -> None:
    """Write `history.csv`, a row an epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, history[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(Path(folder) / "history.csv", text.getvalue())


def read_history(folder: Path) -> list[dict[str, float]]:
    """The rows of a model's `history.csv`, an epoch each; none where the file is missing.

    Raises `CaptioningError` for a file that train.py didn't write.
    """
    path = Path(folder) / "history.csv"
    if not path.is_file():
        return []
    rows = csv.DictReader(io.StringIO(read_text(path, "the history")))
    try:
        history = [
            {key: int(value) if key == "epoch" else float(value) for key, value in row.items()}
            for row in rows
        ]
    except (ValueError, TypeError, csv.Error) as error:
        raise CaptioningError(f"{path} is no table of epochs ({error})") from None
    for wanted in ({"epoch", "loss", "dev_loss"}, {"epoch", "reward", "dev_CIDEr"}):
        if all(wanted <= row.keys() for row in history):
            return history
    raise CaptioningError(f"{path} is no table of epochs: it lacks loss or dev_loss")
