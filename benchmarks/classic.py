"""The classic recipe of many tutorials, written by us, to measure the project against.

One photo per `predict`; one sample per word, its prefix padded in front and its target one-hot, one
photo's samples per step; and for each word of a caption the whole prefix through `predict`.
"""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from keras import layers

from captioning.data.text import END, PADDING, START, UNKNOWN
from captioning.vision.images import load_array


def encode(network: keras.Model, photos: list[Path], size: int) -> np.ndarray:
    """Vectors, float32 (photos, D): each photo is opened, scaled and predicted by itself."""
    vectors = []
    for photo in photos:
        pixels = load_array(photo, size)[None].astype(np.float32)  # (1, size, size, 3)
        vectors.append(network.predict(pixels / 127.5 - 1.0, verbose=0))
    return np.concatenate(vectors)  # (photos, D)


def build(vector_size: int, vocabulary: int, width: int, longest: int) -> keras.Model:
    """The merge model for one prefix: the probabilities of the next word.

    It has the layers of `captioning.decoders.merge`, with their names, so that weights can be
    copied; but the prefix is padded in front and masked, and one word is predicted.
    """
    vector = layers.Input((vector_size,))
    photo = layers.Normalization(name="standardise")(vector)
    photo = layers.Dropout(0.5)(photo)
    photo = layers.Dense(width, activation="relu", name="photo_dense")(photo)
    words = layers.Input((longest,), dtype="int32")
    # 0, the padding, is masked: the LSTM skips it.
    caption = layers.Embedding(vocabulary, width, mask_zero=True, name="embedding")(words)
    caption = layers.Dropout(0.5)(caption)
    caption = layers.LSTM(width, name="lstm")(caption)  # (samples, width)
    both = layers.Dense(width, activation="relu", name="merge_dense")(photo + caption)
    both = layers.Dropout(0.5)(both)
    following = layers.Dense(vocabulary, activation="softmax", name="next_word")(both)
    model = keras.Model([vector, words], following)
    model.compile(loss="categorical_crossentropy", optimizer="adam")
    return model


def take_weights(classic: keras.Model, model: keras.Model) -> None:
    """Give the classic model the weights of one of ours."""
    for name in ("standardise", "photo_dense", "embedding", "lstm", "merge_dense", "next_word"):
        layer = classic.get_layer(name)
        layer.set_weights(model.get_layer(name).get_weights())
        if name == "standardise":
            layer.finalize_state()


def samples(
    vectors: np.ndarray, captions: list[list[list[int]]], longest: int, vocabulary: int
) -> Iterator[tuple]:
    """For each photo ((vectors, prefixes), targets), one row per word of each of its captions.

    Shapes (rows, D), (rows, longest), (rows, vocabulary).
    """
    for vector, own in zip(vectors, captions, strict=True):
        prefixes, targets = [], []
        for tokens in own:
            line = [START, *tokens, END]
            for position in range(1, len(line)):
                prefixes.append(line[:position])
                targets.append(line[position])
        padded = keras.utils.pad_sequences(prefixes, maxlen=longest, value=PADDING)
        one_hot = keras.utils.to_categorical(targets, num_classes=vocabulary)
        yield (np.repeat(vector[None], len(targets), axis=0), padded), one_hot


def caption(model: keras.Model, vector: np.ndarray, longest: int) -> tuple[int, ...]:
    """The tokens of the greedy caption of a vector (D,)."""
    tokens = [START]
    for _ in range(longest - 1):
        padded = keras.utils.pad_sequences([tokens], maxlen=longest, value=PADDING)
        following = model.predict([vector[None], padded], verbose=0)[0]  # (vocabulary,)
        following[[PADDING, START, UNKNOWN]] = -1
        if len(tokens) == 1:
            following[END] = -1  # at least one word, as in captioning.inference.search
        word = int(following.argmax())
        if word == END:
            break
        tokens.append(word)
    return tuple(tokens[1:])
