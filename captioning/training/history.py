"""`history.csv`: a row for each epoch of a training or a fine-tuning.

`history_before.csv` beside it is that of the model which the training started from.
"""

import csv
import io
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.text import read_text, write_text

HISTORY, BEFORE = "history.csv", "history_before.csv"

TRAINING_COLUMNS = {"epoch", "loss", "dev_loss"}
FINETUNING_COLUMNS = {"epoch", "reward", "dev_CIDEr"}
"""The columns that the curves are drawn of; there are others, and older files have fewer."""


def write_history(folder: Path, history: list[dict[str, float]], name: str = HISTORY) -> None:
    """Write `history.csv`, or `BEFORE`; a column that some epochs lack is empty for them."""
    text = io.StringIO()
    # The latest epoch has all columns: a training that began before there was one goes on with it.
    columns = dict.fromkeys(key for row in reversed(history) for key in row)
    writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(Path(folder) / name, text.getvalue())


def read_history(folder: Path, name: str = HISTORY) -> list[dict[str, float]]:
    """The rows of a model's `history.csv`, or `BEFORE`; an empty list if there is no such file.

    Raises `CaptioningError` for a file that isn't such a table.
    """
    path = Path(folder) / name
    if not path.is_file():
        return []
    rows = csv.DictReader(io.StringIO(read_text(path, "the history")))
    try:
        history = [
            {
                key: int(value) if key == "epoch" else float(value)
                for key, value in row.items()
                if value != ""
            }
            for row in rows
        ]
    except (ValueError, TypeError, csv.Error) as error:
        raise CaptioningError(f"{path} is not a table of epochs ({error})") from None
    # A table of something else would only fail where its curves are drawn.
    for columns in (TRAINING_COLUMNS, FINETUNING_COLUMNS):
        if all(columns <= row.keys() for row in history):
            return history
    raise CaptioningError(
        f"{path} is not a table of epochs: it has neither the columns "
        f"{' and '.join(sorted(TRAINING_COLUMNS))} nor {' and '.join(sorted(FINETUNING_COLUMNS))}"
    )
