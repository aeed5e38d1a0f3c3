"""A picture of what a decoder looks at: a tile a word, the photo lit up where it looks."""

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


def draw_caption(
    captioner: Captioner, photo: Path, caption: str, max_pixels: int = MAX_PIXELS
) -> Figure:
    """The photo, then a tile for each word of its caption.

    Raises `CaptioningError` for a model that doesn't look at places of a photo, and
    `UnreadableImageError` for a photo that can't be read.
    """
    image = open_image(photo, max_pixels)
    pixels = to_array(image, captioner.trained_model.encoder["size"])[None]  # (1, size, size, 3)
    maps = captioner.decoder.attention(*captioner.encode(pixels), [caption])
    if maps is None:
        raise CaptioningError(
            f"the decoder of {captioner.trained_model.folder} reads a photo as a whole and looks "
            "nowhere; --attention wants an attention or a transformer decoder"
        )
    return draw_words(image, caption.split(), maps[0])


def draw_words(photo: Image.Image, words: list[str], maps: np.ndarray) -> Figure:
    """The photo, then a tile a word. maps: (words, side, side), where the decoder looked."""
    photo = photo.copy()
    photo.thumbnail((TILE, TILE))
    tiles = [photo] + [overlay_attention(photo, shares) for shares in maps]
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    high = 2.2 * photo.height / photo.width + 0.45
    figure = Figure(figsize=(2.2 * columns, high * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, tile, word in zip(grid.flat, tiles, ["", *words], strict=False):
        axes.imshow(tile)
        axes.set_title(word, fontsize=18, color=INK)
    return figure
