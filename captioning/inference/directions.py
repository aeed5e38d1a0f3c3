"""Vectors as directions: what is compared by cosine."""

import numpy as np


def unit_length(rows: np.ndarray) -> np.ndarray:
    """Rows (..., K) of length 1, so that a product of two is their cosine; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)  # (..., 1)
    return rows / np.where(lengths > 0, lengths, 1)
