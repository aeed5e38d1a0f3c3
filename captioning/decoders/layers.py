"""What the decoders that look at the grid share: attention, and captions that share a photo.

Words come as (P, C, T): P photos, C captions of each, T steps. A photo's regions are looked at
by all of its captions together, so they are projected once, not once a caption.
"""

import warnings
from typing import Any

import keras
import numpy as np
from keras import layers, ops

# The first word of a caption has itself alone to look at; Keras takes that for a mistake.
warnings.filterwarnings("ignore", message="You are using a softmax over axis")

register = keras.saving.register_keras_serializable("captioning")


@register
class Attention(layers.Layer):
    """Scaled dot-product attention in several heads.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762. Called with queries (B, T, width) and
    the keys and values side by side, (B, S, 2 * width), it gives what was found (B, T, width)
    and where it was looked for, (B, T, S), the mean over the heads. With `causal`, the last
    query sees every key, the one before it all but the last, and so on.
    """

    def __init__(self, heads: int, causal: bool = False, dropout: float = 0.0, **options: Any):
        super().__init__(**options)
        self.heads, self.causal = heads, causal
        self.dropout = layers.Dropout(dropout)

    def call(self, queries: Any, keys_values: Any, training: bool = False) -> tuple[Any, Any]:
        keys, values = ops.split(keys_values, 2, axis=-1)  # (B, S, width), each
        keys = ops.transpose(self._in_heads(keys), (0, 1, 3, 2))  # (B, heads, size, S)
        scale = (queries.shape[-1] // self.heads) ** -0.5
        scores = ops.matmul(self._in_heads(queries) * scale, keys)  # (B, heads, T, S)
        if self.causal:
            steps, all_steps = ops.shape(scores)[2:]
            row, column = ops.arange(steps)[:, None], ops.arange(all_steps)[None]
            hidden = column > row + all_steps - steps  # (T, S)
            scores = scores + ops.cast(hidden, scores.dtype) * -1e9
        weights = ops.softmax(scores)
        found = ops.matmul(self.dropout(weights, training=training), self._in_heads(values))
        found = ops.transpose(found, (0, 2, 1, 3))  # (B, T, heads, size)
        return ops.reshape(found, ops.shape(queries)), ops.mean(weights, axis=1)

    def _in_heads(self, x: Any) -> Any:
        """(B, T, width) -> (B, heads, T, width / heads)"""
        size = x.shape[-1] // self.heads
        x = ops.reshape(x, (-1, ops.shape(x)[1], self.heads, size))
        return ops.transpose(x, (0, 2, 1, 3))

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`, for saving."""
        options = {"heads": self.heads, "causal": self.causal, "dropout": self.dropout.rate}
        return {**super().get_config(), **options}


@register
class Places(layers.Layer):
    """Adds a learned vector for the place in the row, (..., T, width); past the last, the last."""

    def __init__(self, places: int, **options: Any):
        super().__init__(**options)
        self.places = places

    def build(self, shape: tuple) -> None:
        self.table = self.add_weight((self.places, shape[-1]), "normal", name="table")

    def call(self, x: Any, past: Any = None) -> Any:
        first = 0 if past is None else ops.shape(past)[-2]
        rows = ops.minimum(ops.arange(ops.shape(x)[-2]) + first, self.places - 1)  # (T,)
        return x + ops.cast(ops.take(self.table, rows, axis=0), x.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`, for saving."""
        return {**super().get_config(), "places": self.places}


def by_caption(x: Any) -> Any:
    """(P, C, T, width) -> (P * C, T, width)"""
    return ops.reshape(x, (-1, *ops.shape(x)[2:]))


def by_photo(x: Any) -> Any:
    """(P, C, T, width) -> (P, C * T, width)"""
    return ops.reshape(x, (ops.shape(x)[0], -1, x.shape[-1]))


class GridSteps:
    """A decoder that looks at the grid, one word at a time; what its models have in common.

    Photos come P at a time, each with K hypotheses. `_photo` makes of grids what stays all
    through a caption; `_step` makes of words, what stays and the state the log-probabilities, how
    much each hypothesis looked at each region, `seen` (P, K, regions), and the new state.
    """

    _photo: keras.Model
    _step: keras.Model
    seen: np.ndarray

    def project(self, grids: np.ndarray) -> list[Any]:
        """What stays of grids (P, regions, D), as tensors: arrays would be copied at each step."""
        return [ops.convert_to_tensor(part) for part in self._photo.predict_on_batch(grids)]

    def step(
        self, words: np.ndarray, photo: list[Any], state: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Log-probabilities (P, K, vocabulary) of the word after `words`, int (P, K); new state."""
        outputs = self._step.predict_on_batch([words[..., None], *photo, *state])
        log_probabilities, self.seen, *state = map(np.asarray, outputs)
        return log_probabilities, state
