"""The loss: cross-entropy a word."""

from typing import Any

import keras
import numpy as np

from captioning.backend import uses_xla
from captioning.training.batches import Batches


@keras.saving.register_keras_serializable("captioning")
class WordLoss(keras.losses.Loss):
    """Cross-entropy of the next word, the mean over words: padding has weight 0 and no part.

    targets: int (..., T), or how likely each word shall be, (..., T, vocabulary); logits: (..., T,
    vocabulary). Only whole words are smoothed.
    """

    def __init__(self, smoothing: float = 0.0, **options: Any) -> None:
        super().__init__(**{"reduction": "mean_with_sample_weight", **options})
        self.smoothing = smoothing

    def call(self, targets: Any, logits: Any) -> Any:
        """The loss of each word, (..., T)."""
        if len(targets.shape) == len(logits.shape):
            return keras.ops.categorical_crossentropy(targets, logits, from_logits=True)
        exact = keras.ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)
        if not self.smoothing:
            return exact
        even = keras.ops.logsumexp(logits, axis=-1) - keras.ops.mean(logits, axis=-1)
        return (1 - self.smoothing) * exact + self.smoothing * even

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`, for saving."""
        return {**super().get_config(), "smoothing": self.smoothing}


def loss_per_word(model: keras.Model, batches: Batches) -> float:
    """The cross-entropy a word, in nats, over all of `batches`, without dropout or smoothing."""
    judge = keras.Model(model.inputs, model.outputs)
    judge.compile(loss=WordLoss(), jit_compile=uses_xla())
    total = 0.0
    for index in range(len(batches)):
        inputs, targets, weights = batches[index]
        judge.reset_metrics()
        loss = judge.test_on_batch(inputs, targets, weights)
        total += float(np.asarray(loss)) * float(weights.sum())
    return total / batches.words
