"""The attention decoder: an LSTM reads the caption, each of its states attends to the regions."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from captioning.backend import for_prediction
from captioning.decoders.grid_steps import GridSteps
from captioning.decoders.kinds import HEADS
from captioning.decoders.layers import Attention, by_caption, by_photo, register


def build_attention(
    grid_shape: tuple[int, int],
    vocabulary: int,
    width: int = 512,
    dropout: float = 0.5,
) -> keras.Model:
    """An LSTM that attends to the regions of a photo after each word it reads.

    Inputs: grid, float16 (P, regions, vector_size), and words, int (P, C, T), C captions of each
    photo after `<start>`. Output: logits (P, C, T, vocabulary).

    The spatial attention of Lu et al. 2017, "Knowing when to look",
    https://arxiv.org/abs/1612.01887: the hidden state after a word is the query, so all words of a
    caption are trained at once. In Xu et al. 2015, https://arxiv.org/abs/1502.03044, the hidden
    state before it is, and each word must wait for the one before.
    """
    # === The photo ===
    grid = layers.Input(grid_shape, dtype="float16", name="grid")
    regions = layers.Normalization(name="standardise")(grid)  # (P, regions, vector_size)
    regions = layers.Dropout(dropout, name="grid_dropout")(regions)
    regions = layers.Dense(width, activation="relu", name="grid_dense")(regions)
    keys_values = layers.Dense(2 * width, name="regions")(regions)  # (P, regions, 2 * width)
    photo = layers.GlobalAveragePooling1D(keepdims=True, name="photo_mean")(regions)
    photo = layers.Dense(width, name="photo_code")(photo)  # (P, 1, width)

    # === The captions so far ===
    words = layers.Input((None, None), dtype="int32", name="words")
    embedding = layers.ReversibleEmbedding(vocabulary, width, name="embedding")
    # Tied vectors are small at first: unscaled, the photo's code would drown them.
    x = layers.LayerNormalization(name="word_norm")(embedding(words))  # (P, C, T, width)
    x = layers.Dropout(dropout, name="word_dropout")(x)
    hidden, _, _ = CaptionLSTM(width, name="lstm")(x, photo)  # (P, C, T, width)

    # === The context, and the next word ===
    x, _ = LookAtRegions(HEADS["attention"], dropout, name="look")(hidden, keys_values)
    logits = embedding(x, reverse=True)  # (P, C, T, vocabulary)
    return keras.Model([grid, words], logits, name="attention")


@register
class CaptionLSTM(layers.Layer):
    """An LSTM over the words (P, C, T, width) of captions that share a photo, (P, 1, width).

    The photo's code is added to each word. Gives the hidden states (P, C, T, width), and the
    last hidden state and cell (P, C, width), from which it can go on.
    """

    def __init__(self, width: int, **options: Any):
        super().__init__(**options)
        self.width = width
        self.lstm = layers.LSTM(width, return_sequences=True, return_state=True)

    def build(self, shape: tuple, *_: Any) -> None:
        """Build the LSTM for words of this size."""
        self.lstm.build((None, None, shape[-1]))

    def call(self, words: Any, photo: Any, hidden: Any = None, cell: Any = None) -> tuple:
        """The states after each word, and the last hidden and cell state."""
        words = words + photo[:, None]  # (P, C, T, width)
        photos, captions, steps, _ = ops.shape(words)
        if hidden is None:
            hidden = cell = ops.zeros((photos, captions, self.width), words.dtype)
        # Keras' LSTM takes one batch dimension: photos and captions are one for it.
        state = [ops.reshape(part, (-1, self.width)) for part in (hidden, cell)]  # (P * C, width)
        every, *last = self.lstm(by_caption(words), initial_state=state)  # (P * C, T, width)
        every = ops.reshape(every, (photos, captions, steps, self.width))
        return every, *(ops.reshape(part, (photos, captions, self.width)) for part in last)

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`, for saving."""
        return {**super().get_config(), "width": self.width}


@register
class LookAtRegions(layers.Layer):
    """Cross-attention: hidden states joined with the context that they find in the regions.

    Called with hidden states (P, C, T, width) and the regions' keys and values (P, R, 2 * width).
    Gives the sum of both, projected and normalised, (P, C, T, width), and the attention weights
    (P, C * T, R).
    """

    # Saved weights are found by the attributes' names: question (queries), known (the projection
    # of the hidden states), found (that of the context).

    def __init__(self, heads: int, dropout: float = 0.0, **options: Any):
        super().__init__(**options)
        self.heads, self.rate = heads, dropout
        self.attention = Attention(heads)
        self.dropout = layers.Dropout(dropout)
        self.norm = layers.LayerNormalization(name="norm")

    def build(self, shape: tuple, *_: Any) -> None:
        """Build the projections, all of the width of the hidden states."""
        width = shape[-1]
        self.question = layers.Dense(width, name="question")
        self.known = layers.Dense(width, name="known")
        self.found = layers.Dense(width, name="found")
        for layer in (self.question, self.known, self.found, self.norm):
            layer.build((None, width))

    def call(self, hidden: Any, keys_values: Any, training: bool = False) -> tuple[Any, Any]:
        """The joined states and the attention weights, as the class says."""
        hidden = self.dropout(hidden, training=training)
        queries = by_photo(self.question(hidden))  # (P, C * T, width)
        context, weights = self.attention(queries, keys_values)
        context = ops.reshape(self.found(context), ops.shape(hidden))  # (P, C, T, width)
        both = self.dropout(self.known(hidden) + context, training=training)
        return self.norm(both), weights

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`, for saving."""
        return {**super().get_config(), "heads": self.heads, "dropout": self.rate}


class AttentionSteps(GridSteps):
    """The layers of a trained attention decoder, one word at a time, the LSTM's state kept."""

    def __init__(self, model: keras.Model) -> None:
        get = model.get_layer
        embedding = get("embedding")
        width = self._width = embedding.output_dim
        self.vocabulary = embedding.input_dim
        parts = [get("regions").output, get("photo_code").output]
        self.photo_model = for_prediction(keras.Model(model.inputs[0], parts))

        # The trained layers again, on inputs of one word: the K hypotheses of a photo stand where
        # its C captions stood in training.
        word = layers.Input((None, 1), dtype="int32")  # (P, K, 1)
        keys_values, photo = (layers.Input(part.shape[1:]) for part in parts)
        hidden, cell = layers.Input((None, width)), layers.Input((None, width))  # (P, K, width)
        x = get("word_norm")(embedding(word))  # (P, K, 1, width)
        states, *after = get("lstm")(x, photo, hidden, cell)
        x, weights = get("look")(states, keys_values)  # (P, K, 1, width), (P, K, regions)
        logits = embedding(x, reverse=True)[:, :, 0]  # (P, K, vocabulary)
        self.step_model = for_prediction(
            keras.Model(
                [word, keys_values, photo, hidden, cell],
                [ops.log_softmax(logits), weights, *after],
            )
        )

    def begin(self, grids: np.ndarray) -> tuple[list[Any], list[np.ndarray]]:
        """What stays the same (keys and values, photo code), and the state before the first word.

        grids: (P, regions, D). The state is the LSTM's hidden state and cell, (P, 1, width) each.
        """
        state = np.zeros((len(grids), 1, self._width), np.float32)  # (P, 1, width)
        return self.project(grids), [state, state]
