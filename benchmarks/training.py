"""Training the merge model: one sample per word, against whole captions in batches."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import classic, machine
from benchmarks.comparison import Comparison, alternate
from benchmarks.synthetic import LONGEST, VOCABULARY, random_captions

PREFIX = LONGEST + 1
"""Length that the classic recipe pads to: the start token, and all words of the longest caption."""


def compare_training(
    photos: int = 2000,
    steps: int = 40,
    width: int = 384,
    vector_size: int = 2048,
    rounds: int = 3,
) -> Iterator[Comparison]:
    """The merge model on random captions as long as Flickr8k's, with as many words.

    The classic way trains on the samples of `steps` photos, one photo per step; ours on five
    captions of each of `photos`. Rates are captions per second.
    """
    from captioning.decoders.build import build_decoder
    from captioning.decoders.kinds import Architecture
    from captioning.training.batches import CaptionBatches
    from captioning.training.models import compile_for_training
    from captioning.training.settings import TrainingSettings

    vectors, captions = random_captions(photos, vector_size)
    settings = TrainingSettings(width=width)
    ours = build_decoder(Architecture("merge", width, 0.5), (vector_size,), VOCABULARY, LONGEST)
    ours.get_layer("standardise").adapt(vectors)
    old = classic.build(vector_size, VOCABULARY, width, PREFIX)
    classic.take_weights(old, ours)
    losses = losses_of_both(old, ours, vectors, captions)  # before training changes the weights
    compile_for_training(ours, settings)
    flat = [tokens for own in captions for tokens in own]
    batches = CaptionBatches(vectors, np.repeat(np.arange(photos), 5), flat, settings.batch_size)
    operations = caption_operations(ours, batches)

    def one_photo_per_step() -> int:
        drawn = classic.samples(vectors[:steps], captions[:steps], PREFIX, VOCABULARY)
        old.fit(drawn, steps_per_epoch=steps, verbose=0)
        return 5 * steps

    def whole_captions() -> int:
        ours.fit(batches, epochs=1, verbose=0, shuffle=False)
        return len(flat)

    one_photo_per_step(), whole_captions()  # compiled before the clock starts
    rates = alternate(one_photo_per_step, whole_captions, rounds)
    yield Comparison.faster(
        "training, merge model, float32",
        "captions/s",
        rates,
        16.0,
        machine.peak() / operations,
        losses,
    )


def losses_of_both(old: Any, ours: Any, vectors: np.ndarray, captions: list) -> dict[str, float]:
    """The loss per word of both models on the same few captions, without dropout."""
    from captioning.training.batches import CaptionBatches
    from captioning.training.losses import loss_per_word

    few = captions[:8]
    total = count = 0.0
    for inputs, targets in classic.samples(vectors[:8], few, PREFIX, VOCABULARY):
        probabilities = old.predict_on_batch(list(inputs))
        total -= np.log((probabilities * targets).sum(axis=1)).sum()
        count += len(targets)
    flat = [tokens for own in few for tokens in own]
    batches = CaptionBatches(vectors, np.repeat(np.arange(8), 5), flat, 64)
    return {"classic loss": float(total / count), "our loss": loss_per_word(ours, batches)}


def caption_operations(model: Any, batches: Any) -> float:
    """Multiplications and additions of training on an average caption.

    Each weight of a matrix product takes two per word (of the photo's layer: per caption) in the
    forward pass, and twice as many in the backward pass: gradients of inputs and of weights.
    """
    words = batches.words / sum(len(batches[i][1]) for i in range(len(batches)))
    by_word = sum(
        np.prod(weight.shape)
        for layer in ("lstm", "merge_dense", "next_word")
        for weight in model.get_layer(layer).weights
        if len(weight.shape) == 2
    )
    by_caption = np.prod(model.get_layer("photo_dense").kernel.shape)
    return float(3 * 2 * (words * by_word + by_caption))
