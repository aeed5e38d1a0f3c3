"""Dropout that depends on seed and epoch alone, so that a resumed training repeats it."""

import keras
import numpy as np

DRAWS_PER_EPOCH = 1_000_000
"""More than a layer draws in an epoch, so that two epochs never share draws."""


def seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Set the state of the model's random generators for an epoch.

    A saved model doesn't contain this state. Without this a resumed training would go on with
    the draws of the first epoch, and end with other weights than an uninterrupted one.
    """
    states = [v for v in model.variables if v.path.endswith("seed_generator_state")]
    for number, state in enumerate(states):
        # A state is a seed, here another for each layer, and the number of draws so far.
        state.assign(np.array([seed * 1000 + number, DRAWS_PER_EPOCH * epoch], np.uint32))
