"""Vectors and captions drawn at random, as many, as long and as spread as real ones."""

from typing import Any

import numpy as np

VOCABULARY = 2541
LONGEST = 37
"""Words and longest caption of Flickr8k, as in the model that comes with the repository."""


def random_captions(photos: int, vector_size: int, seed: int = 0) -> tuple[np.ndarray, list]:
    """Vectors, float32 (photos, D), and five captions per photo, as lists of tokens.

    Lengths are distributed as in Flickr8k (mean 11 words, from 1 to 37), words by Zipf's law.
    """
    generator = np.random.default_rng(seed)
    # Pooled ReLU activations: not negative, most of them near zero.
    vectors = generator.standard_gamma(0.5, (photos, vector_size), np.float32)
    lengths = np.clip(generator.gamma(7.5, 1.45, (photos, 5)).round(), 1, LONGEST).astype(int)
    # Tokens below 4 are padding, start, end and unknown.
    probabilities = 1 / np.arange(1, VOCABULARY - 3)
    words = generator.choice(
        np.arange(4, VOCABULARY), lengths.sum(), p=probabilities / probabilities.sum()
    ).tolist()
    remaining = iter(words)
    return vectors, [[[next(remaining) for _ in range(n)] for n in own] for own in lengths]


def random_vectors(model: Any, photos: int, seed: int = 0) -> np.ndarray:
    """Vectors, float32 (photos, D), distributed as those that the model was trained on.

    Mean and variance of each dimension are those of the model's layer "standardise".
    """
    layer = model.get_layer("standardise")
    mean, variance = (np.asarray(part).reshape(-1) for part in (layer.mean, layer.variance))
    vectors = np.random.default_rng(seed).standard_normal((photos, len(mean)), np.float32)
    vectors *= np.sqrt(variance)
    vectors += mean
    return vectors
