"""The photos of one session of the app, and which uploads are accepted."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from captioning.inference.familiarity import is_unfamiliar
from captioning.vision.images import UnreadableImageError, open_image

MAX_BYTES = 30_000_000
"""Of an uploaded file."""

MAX_PIXELS = 60_000_000
"""Of a photo; lower than elsewhere, as several people's photos are decoded at once."""

MAX_PHOTOS = 200
"""In one session; each takes about 0.3 MB of memory."""

THUMBNAIL = 640
"""Pixels of the longer side of the picture that is shown, and kept while the page is open."""


@dataclass
class SessionPhoto:
    """A photo that was uploaded in a session, with what was computed from it.

    picture: at most `THUMBNAIL` pixels a side; vector: float32 (D,); grid: float16 (views,
    regions, D), or None if no model attends to grids; best: (caption, score) of the N best, best
    first; corrected: a person's caption instead of the model's, or None; familiar: as in `Caption`.
    """

    name: str
    picture: Image.Image
    vector: np.ndarray
    grid: np.ndarray | None
    best: list[tuple[str, float]] = field(default_factory=list)
    corrected: str | None = None
    familiar: float | None = None

    @property
    def caption(self) -> str:
        """The person's caption, otherwise the model's."""
        return self.corrected or self.best[0][0]

    @property
    def unfamiliar(self) -> bool:
        """Whether it's unlike the training photos, and the caption isn't a person's."""
        return is_unfamiliar(self.familiar) and self.corrected is None


def read_photo(path: Path) -> Image.Image:
    """The photo in an uploaded file. Raises `UnreadableImageError` if it is none, or too large."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise UnreadableImageError(
            f"it has {size / 1e6:.0f} MB, the most is {MAX_BYTES / 1e6:.0f} MB"
        )
    return open_image(path, MAX_PIXELS)
