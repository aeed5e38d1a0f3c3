"""A trained decoder over a grid, run one word at a time: what attention and transformer share."""

from typing import Any

import keras
import numpy as np
from keras import ops


class GridSteps:
    """Steps of a decoder that attends to the grid of a photo.

    Photos come P at a time, each with K hypotheses. Subclasses make two models of the layers of a
    trained one. photo_model: computes of grids what stays the same through a caption; step_model:
    of words, what `photo_model` gave and the state: log-probabilities, attention weights and the
    new state.

    attention: the attention weights of the latest step, (P, K, regions).
    """

    reads_grids = True
    photo_model: keras.Model
    step_model: keras.Model
    attention: np.ndarray | None = None

    def project(self, grids: np.ndarray) -> list[Any]:
        """What stays the same for grids (P, regions, D), as tensors, P rows each.

        Tensors, because arrays would be copied to the backend at each step.
        """
        # A model of one output predicts an array, not a list of one: without `flatten` the photos
        # would be taken for the parts.
        parts = keras.tree.flatten(self.photo_model.predict_on_batch(grids))
        return [ops.convert_to_tensor(part) for part in parts]

    def step(
        self, words: np.ndarray, photo: list[Any], state: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Log-probabilities (P, K, vocabulary) of the word after `words`, int (P, K); new state."""
        outputs = self.step_model.predict_on_batch([words[..., None], *photo, *state])
        log_probabilities, self.attention, *state = map(np.asarray, outputs)
        return log_probabilities, state

    def keep(self, photo: list[Any], rows: np.ndarray) -> list[Any]:
        """What stays the same of some of the photos, at the places `rows`."""
        return [ops.take(part, rows, axis=0) for part in photo]
