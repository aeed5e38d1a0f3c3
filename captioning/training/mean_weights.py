"""The mean of a model's weights over epochs.

Izmailov et al. 2018, https://arxiv.org/abs/1803.05407.
"""

import keras
import numpy as np

from captioning.training.distribution import alone, own_share


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


class OwnCopy:
    """A model that several processes or devices train, as one process can run it by itself.

    model: the trained model where there is one device, a copy where there are several.
    """

    def __init__(self, model: keras.Model) -> None:
        self._trained = self.model = model
        if own_share().devices > 1:
            with alone():
                self.model = copy_model(model)

    def update(self) -> keras.Model:
        """The model with the weights of now."""
        if self.model is not self._trained:
            with alone():
                self.model.set_weights(self._trained.get_weights())
        return self.model


def update_mean_weights(mean: keras.Model, model: keras.Model, count: int) -> None:
    """Update the weights of `mean` from the mean of `count - 1` models to that of `count`."""
    for kept, new in zip(mean.trainable_weights, model.trainable_weights, strict=True):
        before = np.asarray(kept)
        kept.assign(before + (np.asarray(new) - before) / count)
