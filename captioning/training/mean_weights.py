"""The mean of a model's weights over epochs.

Izmailov et al. 2018, https://arxiv.org/abs/1803.05407.
"""

import keras
import numpy as np


def copy_model(model: keras.Model) -> keras.Model:
    """Another model with the same weights, which computes the same."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for layer in copy.layers:
        if isinstance(layer, keras.layers.Normalization):
            # The layer computes with tensors derived from its weights when it is built or
            # loaded; `set_weights` alone would leave those of the clone, 0 and 1.
            layer.finalize_state()
    return copy


def update_mean_weights(mean: keras.Model, model: keras.Model, count: int) -> None:
    """Update the weights of `mean` from the mean of `count - 1` models to that of `count`."""
    for kept, new in zip(mean.trainable_weights, model.trainable_weights, strict=True):
        before = np.asarray(kept)
        kept.assign(before + (np.asarray(new) - before) / count)
