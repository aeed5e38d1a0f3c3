"""The bootstrap over photos: intervals of scores by drawing the photos again with replacement.

Efron 1979; as Koehn 2004 does for BLEU, https://aclanthology.org/W04-3250.
"""

import numpy as np

RESAMPLES = 1000


def draw_counts(photos: int, resamples: int, seed: int) -> np.ndarray:
    """How often each photo is in each resample of `photos` draws: int (resamples, photos)."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(photos, np.full(photos, 1 / photos), size=resamples)


def interval_95(values: np.ndarray) -> list[float]:
    """The 95% interval [low, high] of a score's values over the resamples, (resamples,)."""
    return np.quantile(values, [0.025, 0.975]).tolist()
