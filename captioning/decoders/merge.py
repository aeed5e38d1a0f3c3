"""The merge decoder, and its layers run one word at a time."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from captioning.backend import for_prediction


def build_merge(
    vector_size: int, vocabulary: int, width: int = 384, dropout: float = 0.5
) -> keras.Model:
    """The merge model: the photo's vector and the caption so far are encoded apart, then added.

    Inputs: vectors, float32 (captions, vector_size), and words, int (captions, steps), the
    caption after `<start>`. Output: logits (captions, steps, vocabulary) of each next word; the
    softmax over the vocabulary is taken with the loss and in decoding, where it is exact.

    Tanti et al. 2018, "Where to put the image in an image caption generator",
    https://arxiv.org/abs/1703.09137, with one dropout more, before the last layer, which has most
    of the parameters. There is no mask: padding comes after the caption, and an LSTM's states do
    not depend on what follows.
    """
    # === The photo ===
    vector = layers.Input((vector_size,), name="vector")
    photo = layers.Normalization(name="standardise")(vector)
    photo = layers.Dropout(dropout, name="photo_dropout")(photo)
    photo = layers.Dense(width, activation="relu", name="photo_dense")(photo)
    photo = layers.Reshape((1, width), name="photo_code")(photo)  # (captions, 1, width)

    # === The caption so far ===
    words = layers.Input((None,), dtype="int32", name="words")
    caption = layers.Embedding(vocabulary, width, name="embedding")(words)  # (..., steps, width)
    caption = layers.Dropout(dropout, name="word_dropout")(caption)
    caption = layers.LSTM(width, return_sequences=True, name="lstm")(caption)

    # === The next word ===
    both = layers.Add(name="add")([photo, caption])  # (captions, steps, width)
    both = layers.Dense(width, activation="relu", name="merge_dense")(both)
    both = layers.Dropout(dropout, name="merge_dropout")(both)
    logits = layers.Dense(vocabulary, name="next_word")(both)  # (captions, steps, vocabulary)
    return keras.Model([vector, words], logits, name="merge")


class MergeSteps:
    """The layers of a trained merge model, one word at a time, the LSTM's state kept.

    Photos come P at a time, each with K hypotheses: 1 for greedy search, else the beam's width.
    photo_model, step_model, attention: as in `GridSteps`, without attention weights.
    """

    reads_grids = False
    attention: np.ndarray | None = None

    def __init__(self, model: keras.Model) -> None:
        get = model.get_layer
        width = get("photo_dense").units
        self.vocabulary = get("next_word").units
        self._width = width
        self.photo_model = for_prediction(keras.Model(model.inputs[0], get("photo_code").output))

        # The trained layers again, on inputs of one word: the K hypotheses of a photo stand where
        # the steps of a caption stood in training, so that `add` meets the same shapes.
        word = layers.Input((None,), dtype="int32")  # (P, K)
        photo = layers.Input((1, width))
        hidden, cell = layers.Input((None, width)), layers.Input((None, width))  # (P, K, width)
        embedded = get("embedding")(word)  # (P, K, width)
        caption, *after = _CellOverBeams(get("lstm").cell)(embedded, hidden, cell)
        both = get("merge_dense")(get("add")([photo, caption]))  # (P, K, width)
        log_probabilities = ops.log_softmax(get("next_word")(both))  # (P, K, vocabulary)
        self.step_model = for_prediction(
            keras.Model([word, photo, hidden, cell], [log_probabilities, *after])
        )

    def begin(self, vectors: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """What stays the same (the photos' codes), and the state before the first word.

        vectors: float32 (P, D); codes, and the LSTM's hidden state and cell: (P, 1, width) each.
        """
        state = np.zeros((len(vectors), 1, self._width), np.float32)
        return np.asarray(self.photo_model.predict_on_batch(vectors)), [state, state]

    def step(
        self, words: np.ndarray, photo: np.ndarray, state: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Log-probabilities (P, K, vocabulary) of the word after `words`, int (P, K); new state."""
        outputs = self.step_model.predict_on_batch([words, photo, *state])
        log_probabilities, *state = map(np.asarray, outputs)
        return log_probabilities, state

    def keep(self, photo: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """What stays the same of some of the photos, at the places `rows`."""
        return photo[rows]


class _CellOverBeams(layers.Layer):
    """An LSTM's cell for words, hidden state and cell state of shape (P, K, width) each.

    Keras' cell takes one batch dimension: photos and hypotheses are one for it.
    """

    def __init__(self, cell: layers.Layer) -> None:
        super().__init__()
        self._cell = cell

    def call(self, *parts: Any) -> tuple[Any, ...]:
        word, *state = (ops.reshape(p, (-1, p.shape[-1])) for p in parts)  # (P * K, width)
        output, (hidden, cell) = self._cell(word, state)
        shape = ops.shape(parts[1])
        return tuple(ops.reshape(p, shape) for p in (output, hidden, cell))  # (P, K, width)
