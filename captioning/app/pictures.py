"""Photos as the page shows them: small in the list, large beside it; made when asked for."""

import io
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from PIL import Image

SIDES = {"small": 192, "large": 1280}
"""Pixels of the longer side."""

KEPT = {"small": 3000, "large": 24}
"""So many pictures stay in memory, about 7 and 200 KB each; the browser keeps them, too."""


class Pictures:
    """JPEGs of photos, the latest ones kept in memory; none is left on the disk."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[str, OrderedDict[str, bytes]] = {size: OrderedDict() for size in SIDES}

    def get(self, photo: str, size: str, open_photo: Callable[[], Image.Image]) -> bytes:
        """The picture of the photo with this id; raises what `open_photo` raises."""
        kept = self._kept[size]
        with self._lock:
            if photo in kept:
                kept.move_to_end(photo)
                return kept[photo]
        picture = as_jpeg(open_photo(), SIDES[size])
        with self._lock:
            kept[photo] = picture
            while len(kept) > KEPT[size]:
                kept.popitem(last=False)
        return picture


def as_jpeg(image: Image.Image, side: int) -> bytes:
    """The picture, at most `side` pixels a side, without the photo's metadata."""
    image.thumbnail((side, side))
    # A new picture: Pillow writes profiles and comments that came with the photo into the JPEG.
    clean = Image.new("RGB", image.size)
    clean.paste(image)
    file = io.BytesIO()
    clean.save(file, "JPEG", quality=82)
    return file.getvalue()
