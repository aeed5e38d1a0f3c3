"""Figures in a notebook with a text for who doesn't see them."""

import io
from typing import Any

from matplotlib.figure import Figure


def picture(figure: Figure, alt: str) -> Any:
    """The figure as an IPython image; alt: what is seen, which screen readers say."""
    from IPython.display import Image

    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=90, facecolor="white")
    return Image(file.getvalue(), format="png", alt=alt)


def show(figure: Figure, alt: str) -> None:
    """Show the figure below a cell. alt: as in `picture`."""
    from IPython.display import display

    display(picture(figure, alt))
