"""Calibration: whether a model's confidence in its captions goes with their scores."""

from dataclasses import dataclass

import numpy as np

from captioning.evaluation.bootstrap import RESAMPLES, interval_95

BINS = 10

FEWEST = 5
"""So many captions at least in a bin: of fewer, an interval would say nothing."""


@dataclass(frozen=True)
class Bin:
    """Captions of similar confidence.

    confidence: the mean probability of a word, 0 to 1 (geometric); score: their mean CIDEr; low,
    high: its 95% interval.
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
    With few captions there are fewer bins, none for less than `FEWEST`.
    """
    generator = np.random.default_rng(seed)
    found = []
    # Equally many captions in each bin, not equal ranges of confidence: most captions are of
    # middling confidence, and the outer bins would be too small for an interval.
    bins = min(bins, len(confidences) // FEWEST)
    if not bins:
        return []
    for part in np.array_split(np.argsort(confidences, kind="stable"), bins):
        own = scores[part]  # (photos of the bin,)
        means = generator.choice(own, (RESAMPLES, len(own))).mean(axis=1)  # (resamples,)
        low, high = interval_95(means)
        confidence = float(np.exp(confidences[part].mean()))
        found.append(Bin(len(part), confidence, float(own.mean()), low, high))
    return found


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation, ties sharing their mean rank; NaN where one is constant."""
    ranks = np.stack([_ranks(np.asarray(values)) for values in (first, second)])  # (2, N)
    if (np.ptp(ranks, axis=1) == 0).any():
        return float("nan")
    return float(np.corrcoef(ranks)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)  # the rank of the last of each group of equal values
    return (last - (counts - 1) / 2)[place]
