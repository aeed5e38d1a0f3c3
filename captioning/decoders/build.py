"""The decoders by name: how each is built, and how a trained one is run word by word."""

from typing import Any

import keras

from captioning.decoders.attention import AttentionSteps, build_attention
from captioning.decoders.kinds import Architecture
from captioning.decoders.merge import MergeSteps, build_merge
from captioning.decoders.transformer import TransformerSteps, build_transformer

STEPS = {"merge": MergeSteps, "attention": AttentionSteps, "transformer": TransformerSteps}
"""For each decoder the class that runs its layers one word at a time."""


def build_decoder(
    architecture: Architecture, photo_shape: tuple[int, ...], vocabulary: int, longest: int
) -> keras.Model:
    """The untrained decoder of that architecture.

    photo_shape: (vector_size,) for merge, (regions, vector_size) for those that read grids;
    vocabulary: how many tokens there are, markers included; longest: words of the longest caption,
    for which the transformer has position embeddings.
    """
    name, width, dropout = architecture.name, architecture.width, architecture.dropout
    if name == "merge":
        return build_merge(photo_shape[0], vocabulary, width, dropout)
    regions, vector_size = photo_shape
    if name == "attention":
        return build_attention((regions, vector_size), vocabulary, width, dropout)
    return build_transformer(
        (regions, vector_size), vocabulary, longest, width, dropout, architecture.depth
    )


def steps_of(model: keras.Model) -> Any:
    """The steps of a trained decoder, `ModelSteps`."""
    return STEPS[model.name](model)
