"""Where a decoder looks, for people: over the photo as light, and in words."""

import numpy as np
from PIL import Image

DARKEST = 0.25
"""Brightness that is left where the decoder doesn't look."""

ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")


def light_up(photo: Image.Image, shares: np.ndarray) -> Image.Image:
    """The photo, bright where the decoder looks and dark elsewhere, as in Show, Attend and Tell.

    shares: (side, side) of the square that the encoder sees the photo as; the largest counts as
    full light. Xu et al. 2015, https://arxiv.org/abs/1502.03044.
    """
    light = shares / max(float(shares.max()), 1e-9)
    small = Image.fromarray((255 * light).astype(np.uint8))
    mask = small.resize(photo.size, Image.Resampling.BICUBIC)
    dark = Image.fromarray((np.asarray(photo.convert("RGB")) * DARKEST).astype(np.uint8))
    return Image.composite(photo.convert("RGB"), dark, mask)


def place_of(shares: np.ndarray) -> str:
    """The ninth of the photo that the decoder looks at most, in words: "upper left".

    shares: (side, side), at least 3 a side.
    """
    ninths = [[part.sum() / part.size for part in np.array_split(row, 3, axis=1)]
              for row in np.array_split(shares, 3, axis=0)]
    row, column = divmod(int(np.argmax(ninths)), 3)
    if (row, column) == (1, 1):
        return "centre"
    return f"{ROWS[row]} {COLUMNS[column]}"
