"""A film strip: the same photos captioned after each epoch, to watch a model learn."""

import textwrap
from collections.abc import Mapping

from matplotlib.figure import Figure
from PIL import Image, ImageOps

from captioning.pictures.figures import BLUE, INK, ORANGE

MOST = 8
"""So many epochs are shown at the most: the first, the last, and some between."""

LETTERS = 26
"""Letters in a line of a caption."""


def draw_film(photos: Mapping[str, Image.Image], film: Mapping[int, Mapping[str, str]]) -> Figure:
    """The photos at the top, and below each its caption after each epoch.

    photos: by their names; film: of each epoch the captions by the photos' names. Where a
    caption is another than the one above it, it is orange.
    """
    epochs = chosen(sorted(film))
    names = [name for name in photos if all(name in film[epoch] for epoch in epochs)]
    texts = {
        (e, n): textwrap.wrap(film[e][n], LETTERS) or ["(nothing)"] for e in epochs for n in names
    }
    heights = [0.2 * max(len(texts[epoch, name]) for name in names) + 0.2 for epoch in epochs]
    figure = Figure(figsize=(2.5 * len(names) + 0.7, 2.2 + sum(heights)), layout="constrained")
    grid = figure.add_gridspec(
        1 + len(epochs),
        1 + len(names),
        width_ratios=[0.28] + [1] * len(names),
        height_ratios=[2.2, *heights],
    )
    for column, name in enumerate(names, 1):
        axes = figure.add_subplot(grid[0, column])
        axes.axis("off")
        axes.set_anchor("W")
        axes.imshow(ImageOps.pad(photos[name].convert("RGB"), (300, 260), color="white"))
    before: dict[str, list[str]] = {}
    for row, epoch in enumerate(epochs, 1):
        axes = figure.add_subplot(grid[row, 0])
        axes.axis("off")
        axes.text(1, 1, f"epoch {epoch}", ha="right", va="top", fontsize=10, color=BLUE)
        for column, name in enumerate(names, 1):
            lines = texts[epoch, name]
            axes = figure.add_subplot(grid[row, column])
            axes.axis("off")
            colour = INK if before.get(name, lines) == lines else ORANGE
            axes.text(0.02, 1, "\n".join(lines), va="top", fontsize=11, color=colour)
            before[name] = lines
    return figure


def chosen(epochs: list[int]) -> list[int]:
    """At most `MOST` of the epochs, in their order; more of the first, when most is learned."""
    if len(epochs) <= MOST:
        return epochs
    # Each step is longer than the one before: places 0, 1, 2, 4, ... up to the last.
    last = len(epochs) - 1
    places = {round(last * (step / (MOST - 1)) ** 1.7) for step in range(MOST)}
    return [epochs[place] for place in sorted(places)]
