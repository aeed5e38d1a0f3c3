"""Attention weights for people: as warm colour over the photo, and as a place in words."""

import numpy as np
from PIL import Image

WARM = ((255, 236, 120), (255, 150, 0), (214, 20, 0))
"""The colours of attention from little to much: pale yellow, orange, red."""

STRONGEST = 0.72
"""The share of the colour where the decoder attends to most; the rest is the photo."""

PALER = 0.35
"""The share of grey in the photo beneath, so that what is red in it isn't taken for attention."""

GAMMA = 0.7
"""Warmth is attention to this power: below 1, small weights become visible, too."""

ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")

_LITTLE = """
    a an the and or of in on at by to with for from into onto is are was were be being its his her
    their it he she they that this as while
"""

LITTLE_WORDS = frozenset(_LITTLE.split())
"""Words that hardly say anything of the photo: pictures show them faint."""


def overlay_attention(photo: Image.Image, weights: np.ndarray) -> Image.Image:
    """The whole photo, and over it warm colour where the decoder attends to.

    weights: float (side, side), the attention weights over the grid; the largest is red. Weights
    below the even share, 1 / regions, have no colour.
    """
    colour = np.asarray(photo.convert("RGB"), np.float32)  # (H, W, 3)
    grey = np.asarray(photo.convert("L"), np.float32)[..., None]  # (H, W, 1)
    base = (1 - PALER) * colour + PALER * grey
    # The encoder reads the photo squeezed into a square, so the grid is stretched back over it.
    small = Image.fromarray(weights.astype(np.float32))
    spread = np.asarray(small.resize(photo.size, Image.Resampling.BICUBIC))  # (H, W)
    even = float(weights.mean())
    # Nowhere more than elsewhere: the decoder doesn't look, and nothing is coloured.
    heat = (spread - even).clip(0) / max(float(weights.max()) - even, 0.5 * even, 1e-9)
    heat = heat.clip(0, 1) ** GAMMA  # (H, W)
    stops = np.linspace(0, 1, len(WARM))
    warm = np.stack([np.interp(heat, stops, channel) for channel in zip(*WARM, strict=True)], -1)
    share = STRONGEST * heat[..., None]  # (H, W, 1)
    return Image.fromarray((base * (1 - share) + warm * share).astype(np.uint8))


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
