"""Attention weights for people: as light over the photo, and as a place in words."""

import numpy as np
from PIL import Image

DARKEST = 0.3
"""The brightness of regions without attention."""


GAMMA = 0.7
"""Light is attention to this power: below 1, small weights become visible, too."""


ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")


def overlay_attention(photo: Image.Image, weights: np.ndarray) -> Image.Image:
    """The photo, bright and in colour where the decoder attends to, dark and grey elsewhere.

    weights: float (side, side), the attention weights over the grid; the largest counts as full
    light. As in Show, Attend and Tell, Xu et al. 2015, https://arxiv.org/abs/1502.03044.
    """
    colour = photo.convert("RGB")
    # The encoder reads the photo squeezed into a square, so the grid is stretched back over it.
    small = Image.fromarray(weights.astype(np.float32))
    light = np.asarray(small.resize(photo.size, Image.Resampling.BICUBIC)).clip(0)  # (H, W)
    light = (light / max(float(light.max()), 1e-9)) ** GAMMA
    mask = Image.fromarray((255 * light).astype(np.uint8))
    grey = np.asarray(colour.convert("L")) * DARKEST
    dark = Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    return Image.composite(colour, dark, mask)


def region_name(weights: np.ndarray) -> str:
    """The ninth of the photo that the decoder attends to most, in words: "upper left".

    weights: as in `overlay_attention`, at least 3 a side.
    """
    # Means, not sums: a side that 3 doesn't divide has ninths of unequal size.
    ninths = [
        [part.sum() / part.size for part in np.array_split(row, 3, axis=1)]
        for row in np.array_split(weights, 3, axis=0)
    ]
    row, column = divmod(int(np.argmax(ninths)), 3)
    if (row, column) == (1, 1):
        return "centre"
    return f"{ROWS[row]} {COLUMNS[column]}"
