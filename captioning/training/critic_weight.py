"""How much a critic counts: chosen on dev, with what the choice is worth on other photos."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from captioning.inference.choosing import in_order
from captioning.inference.critic import Critic
from captioning.inference.search import Hypothesis

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""The weights that are compared."""

FOLDS = 5


@dataclass(frozen=True)
class WeightChoice:
    """The weight with the best CIDEr, and what choosing it so is worth.

    ciders: of each of `WEIGHTS`; in_folds: CIDEr where the weight is chosen on the other folds;
    alone: CIDEr without the critic; best_of_beam: of each beam's best caption, the most that
    choosing can reach.
    """

    weight: float
    ciders: dict[float, float]
    in_folds: float
    alone: float
    best_of_beam: float


def choose_weight(
    found: list[list[Hypothesis]],
    vectors: np.ndarray,
    critic: Critic,
    ciders: Sequence[dict[tuple[int, ...], float]],
) -> WeightChoice:
    """Choose among `WEIGHTS` by the mean CIDEr of the captions that come first.

    found: each photo's hypotheses in the beam's order; vectors: (photos, D); ciders: for each photo
    the CIDEr of its hypotheses by their tokens.
    """
    cosines = critic.cosines(vectors, [[h.tokens for h in own] for own in found])
    table = np.array(
        [
            [
                own[first[0].tokens]
                for own, first in zip(
                    ciders, in_order(found, [weight * c for c in cosines]), strict=True
                )
            ]
            for weight in WEIGHTS
        ]
    )  # (weights, photos)
    # Fifths of the list as it comes, so that the same call gives the same folds.
    folds = np.arange(len(found)) * FOLDS // max(1, len(found))  # (photos,)
    scores = []
    for fold in np.unique(folds):
        others = table[:, folds != fold] if (folds != fold).any() else table
        scores.append(table[others.mean(axis=1).argmax(), folds == fold])
    means = table.mean(axis=1)  # (weights,)
    best = int(means.argmax())
    return WeightChoice(
        WEIGHTS[best],
        dict(zip(WEIGHTS, means.tolist(), strict=True)),
        float(np.concatenate(scores).mean()),
        float(np.mean([own[h[0].tokens] for own, h in zip(ciders, found, strict=True)])),
        float(np.mean([max(own.values()) for own in ciders])),
    )
