"""What is known of each decoder by its name, without Keras: what it reads, its heads, its sizes."""

from dataclasses import dataclass

READ_GRIDS = ("attention", "transformer")
"""The decoders that attend to the grid of a photo; the others read its vector."""

HEADS = {"merge": 1, "attention": 4, "transformer": 6}
"""How many attention heads each decoder has; they divide its width into equal parts."""


@dataclass(frozen=True)
class Architecture:
    """A decoder to build: its name, its width, its dropout rate, the layers of a transformer."""

    name: str
    width: int
    dropout: float
    depth: int = 2
