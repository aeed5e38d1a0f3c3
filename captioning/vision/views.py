"""Views of a photo: itself, mirrored, zoomed."""

import numpy as np
from PIL import Image

from captioning.vision.images import to_array

VIEWS = (
    ("whole", (0, 0), False),
    ("mirrored", (0, 0), True),
    ("upper left", (0, 0), False),
    ("lower right, mirrored", (1, 1), True),
)
"""Views of a photo that training can show instead of it: name, corner, whether mirrored.

From the third on, six sevenths of each side are seen, from that corner.
"""


def view(pixels: np.ndarray, number: int) -> np.ndarray:
    """The view of that number of a photo, both uint8 (size, size, 3); 0 is the photo itself."""
    _, (right, down), mirrored = VIEWS[number]
    size = len(pixels)
    if number > 1:
        seen = size * 6 // 7
        top, left = down * (size - seen), right * (size - seen)
        part = Image.fromarray(pixels[top : top + seen, left : left + seen])
        pixels = to_array(part, size)
    return pixels[:, ::-1] if mirrored else pixels
