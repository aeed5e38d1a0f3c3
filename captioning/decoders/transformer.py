"""The transformer decoder: a word attends to the words before it and to the photo's regions."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from captioning.backend import for_prediction
from captioning.decoders.grid_steps import GridSteps
from captioning.decoders.kinds import HEADS
from captioning.decoders.layers import (
    Attention,
    Places,
    by_caption,
    by_photo,
    register,
)


def build_transformer(
    grid_shape: tuple[int, int],
    vocabulary: int,
    longest: int,
    width: int = 384,
    dropout: float = 0.2,
    depth: int = 2,
) -> keras.Model:
    """A transformer decoder over the grid of a photo.

    Inputs: grid, float16 (P, regions, vector_size), and words, int (P, C, T), C captions of each
    photo after `<start>`, at most `longest` words. Output: logits (P, C, T, vocabulary).

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, with the normalisation before each
    sublayer (Xiong et al. 2020, https://arxiv.org/abs/2002.04745) and one matrix for the words that
    come in and go out (Press & Wolf 2017, https://arxiv.org/abs/1608.05859).
    """
    # === The photo ===
    grid = layers.Input(grid_shape, dtype="float16", name="grid")
    regions = layers.Normalization(name="standardise")(grid)  # (P, regions, vector_size)
    regions = layers.Dropout(dropout, name="grid_dropout")(regions)
    regions = layers.Dense(width, name="grid_dense")(regions)  # (P, regions, width)
    regions = Places(grid_shape[0], name="region_places")(regions)
    regions = layers.LayerNormalization(name="grid_norm")(regions)

    # === The captions so far ===
    words = layers.Input((None, None), dtype="int32", name="words")
    embedding = layers.ReversibleEmbedding(vocabulary, width, name="embedding")
    x = embedding(words)  # (P, C, T, width)
    x = Places(longest + 1, name="word_places")(x)  # + 1: `<start>` has a position, too
    x = layers.Dropout(dropout, name="word_dropout")(x)
    for number in range(1, depth + 1):
        # The projection lies outside of the decoder layer, so that it is computed once a photo
        # when words come one at a time.
        keys_values = layers.Dense(2 * width, name=f"regions_{number}")(regions)
        layer = DecoderLayer(HEADS["transformer"], dropout, name=f"decoder_{number}")
        x, _, _ = layer(x, keys_values)
    x = layers.LayerNormalization(name="norm")(x)

    # === The next word ===
    logits = embedding(x, reverse=True)  # (P, C, T, vocabulary)
    return keras.Model([grid, words], logits, name="transformer")


@register
class DecoderLayer(layers.Layer):
    """Causal self-attention over the words, cross-attention to the regions, then a feed-forward.

    Called with words (P, C, T, width), the regions' keys and values (P, regions, 2 * width) and,
    word by word, the keys and values of the words before, (P, C, past, 2 * width). Gives the
    words' new vectors, the keys and values with the new words' appended, and the attention weights
    over the regions, (P, C * T, regions).
    """

    # Saved weights are found by the attributes' names: words_in and words_out project around the
    # self-attention, regions_in and regions_out around the cross-attention, think_in and think_out
    # are the feed-forward network.

    def __init__(self, heads: int, dropout: float = 0.0, **options: Any):
        super().__init__(**options)
        self.heads, self.rate = heads, dropout
        self.norms = [layers.LayerNormalization(name=f"norm_{i}") for i in range(3)]
        self.words_attention = Attention(heads, causal=True, dropout=dropout)
        self.regions_attention = Attention(heads, dropout=dropout)
        self.dropout = layers.Dropout(dropout)

    def build(self, shape: tuple, *_: Any) -> None:
        """Build the projections and the feed-forward network."""
        width = shape[-1]
        self.words_in = layers.Dense(3 * width, name="words_in")
        self.words_out = layers.Dense(width, name="words_out")
        self.regions_in = layers.Dense(width, name="regions_in")
        self.regions_out = layers.Dense(width, name="regions_out")
        self.think_in = layers.Dense(4 * width, activation="relu", name="think_in")
        self.think_out = layers.Dense(width, name="think_out")
        for layer in (
            *self.norms,
            self.words_in,
            self.words_out,
            self.regions_in,
            self.regions_out,
            self.think_in,
        ):
            layer.build((None, width))
        self.think_out.build((None, 4 * width))

    def call(
        self, x: Any, keys_values: Any, past: Any = None, training: bool = False
    ) -> tuple[Any, Any, Any]:
        """The new vectors, keys and values, and weights, as the class says."""
        shape, width = ops.shape(x), x.shape[-1]
        # Self-attention stays within a caption: captions are the batch.
        projected = self.words_in(self.norms[0](x))  # (P, C, T, 3 * width)
        queries, new = projected[..., :width], projected[..., width:]
        past = new if past is None else ops.concatenate([past, new], axis=2)
        attended, _ = self.words_attention(by_caption(queries), by_caption(past), training=training)
        x = x + self.dropout(ops.reshape(self.words_out(attended), shape), training=training)

        # Cross-attention: photos are the batch, so the words of all captions of a photo are the
        # queries of one matrix product, and its keys and values need no copy for each caption.
        queries = by_photo(self.regions_in(self.norms[1](x)))  # (P, C * T, width)
        attended, weights = self.regions_attention(queries, keys_values, training=training)
        x = x + self.dropout(ops.reshape(self.regions_out(attended), shape), training=training)

        forward = self.think_out(self.think_in(self.norms[2](x)))  # (P, C, T, width)
        return x + self.dropout(forward, training=training), past, weights

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`, for saving."""
        return {**super().get_config(), "heads": self.heads, "dropout": self.rate}


class TransformerSteps(GridSteps):
    """The layers of a trained transformer, one word at a time, keys and values kept."""

    def __init__(self, model: keras.Model) -> None:
        get = model.get_layer
        embedding, norm = get("embedding"), get("norm")
        decoders = [layer for layer in model.layers if isinstance(layer, DecoderLayer)]
        width = self._width = embedding.output_dim
        self.vocabulary = embedding.input_dim
        regions = [get(f"regions_{number + 1}").output for number in range(len(decoders))]
        self.photo_model = for_prediction(keras.Model(model.inputs[0], regions))

        # The trained layers again, on inputs of one word: the K hypotheses of a photo stand where
        # its C captions stood in training.
        word = layers.Input((None, 1), dtype="int32")  # (P, K, 1)
        photo = [layers.Input(part.shape[1:]) for part in regions]
        past = [layers.Input((None, None, 2 * width)) for _ in decoders]  # (P, K, t, 2 * width)
        x = get("word_places")(embedding(word), past=past[0])  # (P, K, 1, width)
        new_past = []
        for decoder, keys_values, before in zip(decoders, photo, past, strict=True):
            x, after, weights = decoder(x, keys_values, before)
            new_past.append(after)
        logits = embedding(norm(x), reverse=True)[:, :, 0]  # (P, K, vocabulary)
        # The attention weights are the last layer's, whose output makes the next word.
        self.step_model = for_prediction(
            keras.Model([word, *photo, *past], [ops.log_softmax(logits), weights, *new_past])
        )

    def begin(self, grids: np.ndarray) -> tuple[list[Any], list[np.ndarray]]:
        """What stays the same (keys and values of the regions), and the state before any word.

        grids: (P, regions, D). Both have an array for each layer; the state is the keys and
        values of no word yet, (P, 1, 0, 2 * width).
        """
        photo = self.project(grids)
        nothing = np.zeros((len(grids), 1, 0, 2 * self._width), np.float32)  # (P, 1, 0, 2 * width)
        return photo, [nothing] * len(photo)
