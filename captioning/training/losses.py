"""The loss: cross-entropy of the next word."""

from typing import Any

import keras
import numpy as np

from captioning.backend import uses_xla
from captioning.training.batches import Batches


@keras.saving.register_keras_serializable("captioning")
class WordLoss(keras.losses.Loss):
    """Cross-entropy of the next word, the mean over words; padding has weight 0.

    targets: int (..., T), or soft targets, float (..., T, vocabulary), which are not smoothed
    further; logits: (..., T, vocabulary).
    """

    def __init__(self, smoothing: float = 0.0, **options: Any) -> None:
        # Divided by the sum of the weights: with the usual mean over (B, T) a batch with much
        # padding would count less a word.
        super().__init__(**{"reduction": "mean_with_sample_weight", **options})
        self.smoothing = smoothing

    def call(self, targets: Any, logits: Any) -> Any:
        """The loss of each word, (..., T)."""
        if len(targets.shape) == len(logits.shape):
            return keras.ops.categorical_crossentropy(targets, logits, from_logits=True)
        exact = keras.ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)
        if not self.smoothing:
            return exact
        # Label smoothing without one-hot targets, which would fill (..., T, vocabulary): the
        # cross-entropy against the uniform distribution is log-sum-exp minus the mean logit.
        uniform = keras.ops.logsumexp(logits, axis=-1) - keras.ops.mean(logits, axis=-1)
        return (1 - self.smoothing) * exact + self.smoothing * uniform

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`, for saving."""
        return {**super().get_config(), "smoothing": self.smoothing}


def loss_evaluator(model: keras.Model) -> keras.Model:
    """A model around the same weights, compiled for `mean_loss`; it follows their training.

    One of its own: the training's model has another loss, and to compile that one again would
    reset its optimizer. Made once a training, not once an epoch: each is traced anew.
    """
    evaluator = keras.Model(model.inputs, model.outputs)
    evaluator.compile(loss=WordLoss(), jit_compile=uses_xla())
    return evaluator


def loss_per_word(model: keras.Model, batches: Batches) -> float:
    """The cross-entropy a word, in nats, over all of `batches`, without dropout or smoothing."""
    return mean_loss(loss_evaluator(model), batches)


def mean_loss(evaluator: keras.Model, batches: Batches) -> float:
    """As `loss_per_word`, by a model of `loss_evaluator`."""
    total = 0.0
    for index in range(len(batches)):
        inputs, targets, weights = batches[index]
        evaluator.reset_metrics()
        loss = evaluator.test_on_batch(inputs, targets, weights)
        # Batches have different numbers of words: each mean is weighted with its own.
        total += float(np.asarray(loss)) * batches.words_at(index)
    return total / batches.words
