"""Layers that the decoders over a grid share: attention, positions, captions that share a photo.

Words come as (P, C, T): P photos, C captions of each, T steps. All captions of a photo attend to
the same regions, so keys and values are projected once a photo, not once a caption.

The names of the layer classes, of layers and of attributes that hold layers are part of the saved
`.keras` files, where Keras finds the weights by them. So a few old names stay: `Places` is a
position embedding, `LookAtRegions` a cross-attention.
"""

import warnings
from typing import Any

import keras
from keras import layers, ops

# The first word of a caption can only attend to itself; Keras takes such a softmax for a mistake.
warnings.filterwarnings("ignore", message="You are using a softmax over axis")

register = keras.saving.register_keras_serializable("captioning")

MASKED = -1e9
"""Added to the scores of masked keys. Not -inf: a row of nothing else would give NaN."""


@register
class Attention(layers.Layer):
    """Scaled dot-product attention in several heads.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762. Called with queries (B, T, width) and
    the keys and values side by side, (B, S, 2 * width), it gives the weighted values (B, T, width)
    and the attention weights (B, T, S), the mean over the heads. With `causal`, the last query
    attends to every key, the one before it to all but the last, and so on.
    """

    def __init__(self, heads: int, causal: bool = False, dropout: float = 0.0, **options: Any):
        super().__init__(**options)
        self.heads, self.causal = heads, causal
        self.dropout = layers.Dropout(dropout)

    def call(self, queries: Any, keys_values: Any, training: bool = False) -> tuple[Any, Any]:
        """The attended values and the weights, as the class says."""
        keys, values = ops.split(keys_values, 2, axis=-1)  # (B, S, width), each
        keys = ops.transpose(self._in_heads(keys), (0, 1, 3, 2))  # (B, heads, size, S)
        scale = (queries.shape[-1] // self.heads) ** -0.5
        scores = ops.matmul(self._in_heads(queries) * scale, keys)  # (B, heads, T, S)
        if self.causal:
            # There can be more keys than queries: word by word, one query meets the keys of all
            # words before it. So the mask is aligned with the last key, not with the first.
            steps, all_steps = ops.shape(scores)[2:]
            row, column = ops.arange(steps)[:, None], ops.arange(all_steps)[None]
            masked = column > row + all_steps - steps  # (T, S)
            scores = scores + ops.cast(masked, scores.dtype) * MASKED
        weights = ops.softmax(scores)  # (B, heads, T, S)
        attended = ops.matmul(self.dropout(weights, training=training), self._in_heads(values))
        attended = ops.transpose(attended, (0, 2, 1, 3))  # (B, T, heads, size)
        return ops.reshape(attended, ops.shape(queries)), ops.mean(weights, axis=1)

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
    """Position embedding: adds a learned vector for each position to (..., T, width).

    Positions after the last of `places` have the vector of the last.
    """

    def __init__(self, places: int, **options: Any):
        super().__init__(**options)
        self.places = places

    def build(self, shape: tuple) -> None:
        """Make the table of vectors, (places, width)."""
        self.table = self.add_weight((self.places, shape[-1]), "normal", name="table")

    def call(self, x: Any, past: Any = None) -> Any:
        """The input with the vector of each position added, (..., T, width)."""
        # `past`, (..., t, anything), holds the words before `x` when it comes word by word.
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
