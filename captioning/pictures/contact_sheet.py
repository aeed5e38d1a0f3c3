"""Photos with their captions, in rows."""

import textwrap
from collections.abc import Sequence

from matplotlib.figure import Figure
from PIL import Image, ImageOps

from captioning.pictures.figures import INK, ORANGE

UNFAMILIAR = "(unlike what it knows)"
"""Below the caption of a photo that the model has not learned from the like of."""


def contact_sheet(
    photos: Sequence[Image.Image], captions: Sequence[str], columns: int = 4, marks: str = ""
) -> Figure:
    """Photos with their captions below, legible where the figure is as wide as a phone.

    marks: a letter for each photo. "x": its caption is wrong, and red; "?": the model has not
    learned from the like of it, said below the caption.
    """
    rows = -(-len(photos) // columns)
    lines = [textwrap.wrap(caption, 25) for caption in captions]
    for own, mark in zip(lines, marks, strict=False):
        own += [UNFAMILIAR] * (mark == "?")
    # A row is as high as its photo and the longest caption's lines need, in inches.
    height = 2.9 + 0.26 * max(map(len, lines), default=1)
    figure = Figure(figsize=(2.9 * columns, height * rows), layout="constrained")
    for place, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        if place < len(photos):
            # Padded at the top: a wide photo still stands right above its caption.
            photo = photos[place].convert("RGB")
            axes.imshow(ImageOps.pad(photo, (300, 300), color="white", centering=(0.5, 1)))
            colour = {"x": "#b00020", "?": ORANGE}.get(marks[place : place + 1], INK)
            axes.set_xlabel("\n".join(lines[place]), fontsize=14, color=colour)
    return figure
