"""The attention decoder: an LSTM reads the caption, each of its states looks at the regions."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from captioning.backend import for_prediction
from captioning.decoders.kinds import HEADS
from captioning.decoders.layers import Attention, GridSteps, by_caption, by_photo, register


def build_attention(
    grid_shape: tuple[int, int],
    vocabulary: int,
    width: int = 512,
    dropout: float = 0.5,
) -> keras.Model:
    """An LSTM that looks at the regions of a photo after each word it reads.

    Inputs: grid, float16 (P, regions, vector_size), and words, int (P, C, T), C captions of each
    photo after `<start>`. Output: logits (P, C, T, vocabulary).

    The spatial attention of Lu et al. 2017, "Knowing when to look",
    https://arxiv.org/abs/1612.01887: the state after a word asks, so all words of a caption
    are trained at once; in Xu et al. 2015, https://arxiv.org/abs/1502.03044, the state before it
    does, and each word must wait for the one before.
    """
    # === The photo ===
    grid = layers.Input(grid_shape, dtype="float16", name="grid")
    regions = layers.Normalization(name="standardise")(grid)  # (P, regions, vector_size)
    regions = layers.Dropout(dropout, name="grid_dropout")(regions)
    regions = layers.Dense(width, activation="relu", name="grid_dense")(regions)
    looked_at = layers.Dense(2 * width, name="regions")(regions)  # (P, regions, 2 * width)
    photo = layers.GlobalAveragePooling1D(keepdims=True, name="photo_mean")(regions)
    photo = layers.Dense(width, name="photo_code")(photo)  # (P, 1, width)

    # === The captions so far ===
    words = layers.Input((None, None), dtype="int32", name="words")
    embedding = layers.ReversibleEmbedding(vocabulary, width, name="embedding")
    # Tied vectors are small at first: unscaled, the photo's code would drown them.
    x = layers.LayerNormalization(name="word_norm")(embedding(words))  # (P, C, T, width)
    x = layers.Dropout(dropout, name="word_dropout")(x)
    hidden, _, _ = CaptionLSTM(width, name="lstm")(x, photo)  # (P, C, T, width)

    # === Where to look, and the next word ===
    x, _ = LookAtRegions(HEADS["attention"], dropout, name="look")(hidden, looked_at)
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
        self.lstm.build((None, None, shape[-1]))

    def call(self, words: Any, photo: Any, hidden: Any = None, cell: Any = None) -> tuple:
        words = words + photo[:, None]  # (P, C, T, width)
        photos, captions, steps, _ = ops.shape(words)
        if hidden is None:
            hidden = cell = ops.zeros((photos, captions, self.width), words.dtype)
        state = [ops.reshape(part, (-1, self.width)) for part in (hidden, cell)]
        every, *last = self.lstm(by_caption(words), initial_state=state)
        every = ops.reshape(every, (photos, captions, steps, self.width))
        return every, *(ops.reshape(part, (photos, captions, self.width)) for part in last)

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`, for saving."""
        return {**super().get_config(), "width": self.width}


@register
class LookAtRegions(layers.Layer):
    """What states (P, C, T, width) know with what they find in the regions (P, R, 2 * width)."""

    def __init__(self, heads: int, dropout: float = 0.0, **options: Any):
        super().__init__(**options)
        self.heads, self.rate = heads, dropout
        self.attention = Attention(heads)
        self.dropout = layers.Dropout(dropout)
        self.norm = layers.LayerNormalization(name="norm")

    def build(self, shape: tuple, *_: Any) -> None:
        width = shape[-1]
        self.question = layers.Dense(width, name="question")
        self.known = layers.Dense(width, name="known")
        self.found = layers.Dense(width, name="found")
        for layer in (self.question, self.known, self.found, self.norm):
            layer.build((None, width))

    def call(self, hidden: Any, regions: Any, training: bool = False) -> tuple[Any, Any]:
        hidden = self.dropout(hidden, training=training)
        found, seen = self.attention(by_photo(self.question(hidden)), regions)
        found = ops.reshape(self.found(found), ops.shape(hidden))  # (P, C, T, width)
        both = self.dropout(self.known(hidden) + found, training=training)
        return self.norm(both), seen

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
        self._photo = for_prediction(keras.Model(model.inputs[0], parts))

        word = layers.Input((None, 1), dtype="int32")  # (P, K, 1)
        regions, photo = (layers.Input(part.shape[1:]) for part in parts)
        hidden, cell = layers.Input((None, width)), layers.Input((None, width))  # (P, K, width)
        x = get("word_norm")(embedding(word))  # (P, K, 1, width)
        states, *after = get("lstm")(x, photo, hidden, cell)
        x, seen = get("look")(states, regions)
        logits = embedding(x, reverse=True)[:, :, 0]  # (P, K, vocabulary)
        self._step = for_prediction(
            keras.Model(
                [word, regions, photo, hidden, cell], [ops.log_softmax(logits), seen, *after]
            )
        )

    def begin(self, grids: np.ndarray) -> tuple[list[Any], list[np.ndarray]]:
        """What stays (regions, photo code) and the state before the first word."""
        state = np.zeros((len(grids), 1, self._width), np.float32)  # (P, 1, width)
        return self.project(grids), [state, state]
