"""The decoders in Keras' functional API, each on one screen: merge, attention, transformer.

Each comes with a class of steps: the same layers one word at a time, for `captioning.decoding`.
"""

from typing import Any

import keras

from captioning.decoders.attention import AttentionSteps, build_attention
from captioning.decoders.merge import MergeSteps, build_merge
from captioning.decoders.transformer import TransformerSteps, build_transformer

STEPS = {"merge": MergeSteps, "attention": AttentionSteps, "transformer": TransformerSteps}


def build_decoder(
    name: str,
    photo_shape: tuple[int, ...],
    vocabulary: int,
    longest: int,
    width: int,
    dropout: float,
    depth: int,
) -> keras.Model:
    """The decoder of that name, untrained.

    photo_shape: (vector_size,), or (regions, vector_size) for those that read grids; longest:
    words in the longest caption; depth: layers of the transformer.
    """
    if name == "merge":
        return build_merge(photo_shape[0], vocabulary, width, dropout)
    if name == "attention":
        return build_attention(photo_shape, vocabulary, width, dropout)
    return build_transformer(photo_shape, vocabulary, longest, width, dropout, depth)


def steps_of(model: keras.Model) -> Any:
    """The steps of a trained decoder, with `begin(photos)` and `step(words, photo, state)`."""
    return STEPS[model.name](model)
