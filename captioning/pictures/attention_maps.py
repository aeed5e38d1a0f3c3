"""Where a decoder looks, for people: over the photo as light, and in words."""

import numpy as np
from PIL import Image

DARKEST = 0.3
"""Brightness that is left where the decoder doesn't look."""


SOFTNESS = 0.7
"""Below 1, places that it looks at a little get some light, too; 1 would be light in proportion."""


ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")


def overlay_attention(photo: Image.Image, shares: np.ndarray) -> Image.Image:
    """The photo, bright and in colour where the decoder looks, dark and grey elsewhere.

    shares: (side, side) of the square that the encoder sees the photo as; the largest counts as
    full light. As in Show, Attend and Tell, Xu et al. 2015, https://arxiv.org/abs/1502.03044.
    """
    colour = photo.convert("RGB")
    small = Image.fromarray(shares.astype(np.float32))
    light = np.asarray(small.resize(photo.size, Image.Resampling.BICUBIC)).clip(0)
    light = (light / max(float(light.max()), 1e-9)) ** SOFTNESS
    mask = Image.fromarray((255 * light).astype(np.uint8))
    grey = np.asarray(colour.convert("L")) * DARKEST
    dark = Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    return Image.composite(colour, dark, mask)


def region_name(shares: np.ndarray) -> str:
    """The ninth of the photo that the decoder looks at most, in words: "upper left".

    shares: (side, side), at least 3 a side.
    """
    ninths = [
        [part.sum() / part.size for part in np.array_split(row, 3, axis=1)]
        for row in np.array_split(shares, 3, axis=0)
    ]
    row, column = divmod(int(np.argmax(ninths)), 3)
    if (row, column) == (1, 1):
        return "centre"
    return f"{ROWS[row]} {COLUMNS[column]}"
