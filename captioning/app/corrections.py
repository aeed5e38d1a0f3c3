"""People's captions instead of the model's, kept as lines of JSON: data for a later training."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from captioning.errors import CaptioningError

# Sessions have threads of their own, and two lines must not be mixed.
_appending = Lock()


def keep_correction(path: Path, image: str, caption: str, model_caption: str) -> None:
    """Append a correction to the file `path`: image, caption, the model's caption and the time.

    The line is complete and on the disk when this returns. Raises `CaptioningError` if the disk
    refuses it.
    """
    row = {
        "image": image,
        "caption": caption,
        "model_caption": model_caption,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        with _appending, Path(path).open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CaptioningError(f"cannot write {path}: {error.strerror or error}") from error
