"""Photos with their captions, in rows."""

import textwrap
from collections.abc import Sequence

from matplotlib.figure import Figure
from PIL import Image, ImageOps

from captioning.pictures.figures import INK, ORANGE

CELL, GAP, LINE = 2.9, 0.07, 0.26
"""Inches of a photo with the gaps beside it, of a gap, and of a line of its caption."""

UNFAMILIAR = "(unlike what it knows)"
"""Below the caption of a photo that the model has not learned from the like of."""


def contact_sheet(
    photos: Sequence[Image.Image], captions: Sequence[str], columns: int = 4, marks: str = ""
) -> Figure:
    """Photos with their captions below.

    columns: with three at the most the captions are legible where the figure is as wide as a phone;
    marks: a letter for each photo. "x": its caption is wrong, and red; "?": the model has not
    learned from the like of it, said below the caption.
    """
    lines = [textwrap.wrap(caption, 25) for caption in captions]
    for own, mark in zip(lines, marks, strict=False):
        own += [UNFAMILIAR] * (mark == "?")
    # A row is as high as its photos and the longest of its captions need, in inches.
    rows = [lines[first : first + columns] for first in range(0, len(lines), columns)]
    heights = [CELL + LINE * max(map(len, row)) + GAP for row in rows]
    width, height, side = CELL * columns, sum(heights), CELL - 2 * GAP
    figure = Figure(figsize=(width, height))
    for place, (photo, own) in enumerate(zip(photos, lines, strict=True)):
        row, column = divmod(place, columns)
        left, bottom = CELL * column + GAP, sum(heights[row:]) - GAP - side
        axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        # Padded at the top: a wide photo still stands right above its caption.
        padded = ImageOps.pad(photo.convert("RGB"), (300, 300), color="white", centering=(0.5, 1))
        axes.imshow(padded)
        colour = {"x": "#b00020", "?": ORANGE}.get(marks[place : place + 1], INK)
        axes.set_xlabel("\n".join(own), fontsize=14, color=colour)
    return figure
