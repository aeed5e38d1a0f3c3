"""Views of a photo, for augmentation: itself, mirrored, zoomed.

The encoder is frozen and its grids are computed once, so that training can't augment photos as
they come: it chooses among a few views of each whose grids are kept.
"""

import numpy as np
from PIL import Image

from captioning.vision.images import to_array

VIEWS = (
    ("whole", (0, 0), False),
    ("mirrored", (0, 0), True),
    ("upper left", (0, 0), False),
    ("lower right, mirrored", (1, 1), True),
)
"""The views: name, corner as (right, down), whether mirrored.

From the third on, a view is a crop of six sevenths of each side, taken from that corner.
"""


def view(pixels: np.ndarray, number: int) -> np.ndarray:
    """The view of that number of a photo, both uint8 (size, size, 3); 0 is the photo itself."""
    _, (right, down), mirrored = VIEWS[number]
    size = len(pixels)
    if number > 1:
        crop = size * 6 // 7
        top, left = down * (size - crop), right * (size - crop)
        part = Image.fromarray(pixels[top : top + crop, left : left + crop])
        pixels = to_array(part, size)  # (size, size, 3)
    return pixels[:, ::-1] if mirrored else pixels
