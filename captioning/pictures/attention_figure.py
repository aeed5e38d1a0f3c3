"""A figure of attention: the photo, and a tile for each word, warm where the decoder looked."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from captioning.errors import CaptioningError
from captioning.inference.captioner import Captioner
from captioning.pictures.attention_maps import LITTLE_WORDS, overlay_attention
from captioning.pictures.figures import GREY, INK
from captioning.vision.images import MAX_PIXELS, open_image, to_array

COLUMNS, BESIDE = 4, 2
"""Tiles in a row, and in a row beside the photo, which is two rows high and two tiles wide."""

PHOTO, TILE = 640, 320
"""Pixels of the longer side."""

FAINT = 0.45
"""How much of a little word's tile is seen."""


def draw_attention(
    captioner: Captioner, photo: Path, caption: str, max_pixels: int = MAX_PIXELS
) -> Figure:
    """The photo, then a tile for each word of its caption.

    Raises `CaptioningError` for a model without attention, and `UnreadableImageError` for a
    photo that can't be read.
    """
    image = open_image(photo, max_pixels)
    pixels = to_array(image, captioner.trained_model.encoder["size"])[None]  # (1, size, size, 3)
    maps = captioner.decoder.attention(*captioner.encode(pixels), [caption])
    if maps is None:
        raise CaptioningError(
            f"the model in {captioner.trained_model.folder} reads a photo as one vector and has no "
            "attention to draw; take a model with an attention or a transformer decoder"
        )
    return draw_attention_maps(image, caption.split(), maps[0])


def draw_attention_maps(photo: Image.Image, words: list[str], maps: np.ndarray) -> Figure:
    """The photo, and beside and below it a tile for each word, those of the little words faint.

    maps: attention weights, (words, side, side).
    """
    large, small = photo.copy(), photo.copy()
    large.thumbnail((PHOTO, PHOTO))  # in place
    small.thumbnail((TILE, TILE))
    rows = 2 + max(0, -(-(len(words) - 2 * BESIDE) // COLUMNS))
    height = 2.2 * photo.height / photo.width + 0.45  # inches of a tile and of the word above it
    figure = Figure(figsize=(2.2 * COLUMNS, height * rows), layout="constrained")
    grid = figure.add_gridspec(rows, COLUMNS)
    _show(figure.add_subplot(grid[:2, :BESIDE]), large)
    places = [(row, c) for row in range(rows) for c in range(COLUMNS) if row > 1 or c >= BESIDE]
    for place, word, weights in zip(places, words, maps, strict=False):
        axes = figure.add_subplot(grid[place])
        is_little = word in LITTLE_WORDS
        _show(axes, overlay_attention(small, weights), FAINT if is_little else 1)
        axes.set_title(word, fontsize=18, color=GREY if is_little else INK)
    return figure


def _show(axes: Axes, image: Image.Image, alpha: float = 1) -> None:
    axes.axis("off")
    axes.imshow(image, alpha=alpha)
