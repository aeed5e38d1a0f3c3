"""What all figures share: their colours, and how they are saved."""

from pathlib import Path

from matplotlib.figure import Figure

from captioning.files.whole import written_whole

INK, BLUE, ORANGE, PALE = "#222222", "#1f5fa8", "#c4580a", "#e8eef6"
"""Text; the first and the second of two things; the inside of a box. `charts.COLOURS` maps them."""

GREY = "#8a8a8a"
"""What is less: padding, little words."""


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; raises `CaptioningError`, with the old file kept, if that fails."""
    with written_whole(path) as beside:
        figure.savefig(beside, dpi=120, facecolor="white")
