"""Figures in a notebook with a text for who doesn't see them."""

import io
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

COLOURS = 256
"""A picture has so many at the most: with photos in it, it is a third as large in the notebook."""


def picture(figure: Figure, alt: str) -> Any:
    """The figure as an IPython image; alt: what is seen, which screen readers say."""
    import IPython.display

    drawn, smaller = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=80, facecolor="white")
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(smaller, "PNG", optimize=True)
    return IPython.display.Image(smaller.getvalue(), format="png", alt=alt)


def show(figure: Figure, alt: str) -> None:
    """Show the figure below a cell. alt: as in `picture`."""
    from IPython.display import display

    display(picture(figure, alt))
