"""What is known of each decoder by name, without Keras: whether it reads grids, its heads."""

READ_GRIDS = ("attention", "transformer")
"""The decoders that look at the grid of a photo; the others read its vector."""


HEADS = {"merge": 1, "attention": 4, "transformer": 6}
"""Into so many equal parts each decoder divides its width."""
