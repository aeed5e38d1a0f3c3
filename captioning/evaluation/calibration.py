"""Does a model know when it is right? Captions by the model's confidence against their scores."""

from dataclasses import dataclass

import numpy as np

BINS = 10


RESAMPLES = 1000


@dataclass(frozen=True)
class Bin:
    """Captions of like confidence. confidence: mean probability of a word, 0 to 1 (geometric);
    score: their mean CIDEr; low, high: its 95% interval.
    """

    photos: int
    confidence: float
    score: float
    low: float
    high: float


def bin_by_confidence(
    confidences: np.ndarray, scores: np.ndarray, bins: int = BINS, seed: int = 0
) -> list[Bin]:
    """Bins of equally many captions, the least confident first; intervals by the bootstrap.

    confidences: mean log-probability a word, (photos,); scores: each caption's own, (photos,).
    """
    generator = np.random.default_rng(seed)
    made = []
    for part in np.array_split(np.argsort(confidences, kind="stable"), bins):
        if len(part):
            own = scores[part]
            means = generator.choice(own, (RESAMPLES, len(own))).mean(axis=1)
            low, high = np.quantile(means, [0.025, 0.975])
            made.append(
                Bin(
                    len(part),
                    float(np.exp(confidences[part].mean())),
                    float(own.mean()),
                    float(low),
                    float(high),
                )
            )
    return made


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation, ties sharing their mean rank; NaN where one is constant."""
    ranks = [_ranks(np.asarray(values)) for values in (first, second)]
    if any(np.ptp(row) == 0 for row in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)  # rank of the last of each group of equals
    return (last - (counts - 1) / 2)[place]
