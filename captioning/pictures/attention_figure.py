"""A figure of attention: a tile for each word, the photo lit where the decoder attends to."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from captioning.errors import CaptioningError
from captioning.inference.captioner import Captioner
from captioning.pictures.attention_maps import overlay_attention
from captioning.pictures.figures import INK
from captioning.vision.images import MAX_PIXELS, open_image, to_array

COLUMNS = 4


TILE = 320
"""Pixels of a tile's longer side."""


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
    """The photo, then a tile for each word. maps: attention weights, (words, side, side)."""
    photo = photo.copy()  # `thumbnail` works in place
    photo.thumbnail((TILE, TILE))
    tiles = [photo] + [overlay_attention(photo, weights) for weights in maps]
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    height = 2.2 * photo.height / photo.width + 0.45  # inches of a tile and of the word above it
    figure = Figure(figsize=(2.2 * columns, height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")  # also of places that stay empty
    for axes, tile, word in zip(grid.flat, tiles, ["", *words], strict=False):
        axes.imshow(tile)
        axes.set_title(word, fontsize=18, color=INK)
    return figure
