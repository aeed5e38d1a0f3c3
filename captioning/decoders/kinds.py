"""What is known of each decoder by its name, without Keras: what it reads, its heads, its sizes."""

from dataclasses import dataclass

READ_GRIDS = ("attention", "transformer")
"""The decoders that attend to the grid of a photo; the others read its vector."""

HEADS = {"merge": 1, "attention": 4, "transformer": 6}
"""How many attention heads each decoder has; they divide its width into equal parts."""

PREFIX = "prefix"
"""The decoder that reads the caption so far as a whole: a network of another project."""

DECODERS = (*HEADS, PREFIX)
"""Every decoder that captions; those of `HEADS` can be trained."""


@dataclass(frozen=True)
class Architecture:
    """A decoder to build: its name, its width, its dropout rate, the layers of a transformer."""

    name: str
    width: int
    dropout: float
    depth: int = 2
