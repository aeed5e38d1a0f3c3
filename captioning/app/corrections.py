"""People's captions instead of the model's, kept as lines of JSON: data for a later training."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from captioning.files.text import json_text, read_text, write_text


@dataclass(frozen=True)
class Correction:
    """A person's caption of a photo: image is its path in the folder."""

    image: str
    caption: str
    model_caption: str


def write_corrections(
    path: Path, corrections: Sequence[Correction], decided: Collection[str] = ()
) -> None:
    """Bring the file `path` up to date: a line of JSON each, with image, both captions and time.

    Lines about other photos, and those that are still true, stay as they are; those of `decided`
    images, where people at this desk decide, go when they are no longer true. The file is replaced
    whole or not at all; without corrections none is made. Raises `CaptioningError` if the disk
    refuses it, or the file that is there isn't text.
    """
    path = Path(path)
    before = _lines(path)
    wanted = {correction.image: correction for correction in corrections}
    kept = []
    for line in before:
        row = _row(line)
        image = str(row.get("image"))
        if image in wanted and row.get("caption") == wanted[image].caption:
            kept.append(line)
            del wanted[image]
        elif image not in decided:
            kept.append(line)  # of another folder, or of an earlier desk
    now = datetime.now(UTC).isoformat(timespec="seconds")
    new = [json_text({**vars(correction), "time": now}) for correction in wanted.values()]
    if [*kept, *new] != before:
        write_text(path, "".join(f"{line}\n" for line in [*kept, *new]))


def _lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    content = read_text(path, "the file of corrections")
    return [line for line in content.split("\n") if line.strip()]


def _row(line: str) -> dict[str, Any]:
    """The object of a line, {} for anything else: a line that isn't ours stays as it is."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}
