"""Training of a critic: a photo and its captions come near each other, others go apart.

In a batch of photos with a caption each, every caption is compared with every photo: the softmax
over a photo's captions has to find its own, and that over a caption's photos, too (InfoNCE, van den
Oord et al. 2018, https://arxiv.org/abs/1807.03748, in both directions as CLIP, Radford et al. 2021,
https://arxiv.org/abs/2103.00020).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from captioning.backend import set_seed
from captioning.data.prepared import Prepared
from captioning.data.text import PADDING
from captioning.inference.critic import Critic

MASKED = -1e9
"""The score of another caption of the same photo, which is neither right nor wrong."""


@dataclass(frozen=True)
class CriticSettings:
    """Settings of a critic's training, chosen on dev.

    width: of the hidden layer; size: of the vectors that are compared; sharpness: cosines are
    multiplied with it before the softmax; dropout: of the photo's vector, the hidden layer and
    the words.
    """

    width: int = 512
    size: int = 256
    dropout: float = 0.3
    sharpness: float = 20.0
    batch_size: int = 256
    epochs: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 0.004
    seed: int = 1


class PairBatches(keras.utils.PyDataset):
    """Batches of photos with one of their captions each, in another order in each epoch.

    vectors: float32 (photos, D); photos: int (captions,), each caption's photo; tokens: int32
    (captions, T), padded. An item is `((vectors, tokens), photos)`.
    """

    def __init__(
        self, vectors: np.ndarray, photos: np.ndarray, tokens: np.ndarray, settings: CriticSettings
    ) -> None:
        super().__init__()
        self._vectors, self._photos, self._tokens = vectors, photos, tokens
        # Fewer captions than a batch are a batch of their own.
        self._batch_size = min(settings.batch_size, len(photos))
        self._generator = np.random.default_rng(settings.seed)
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Draw the order of the next epoch."""
        self._order = self._generator.permutation(len(self._photos))

    def __len__(self) -> int:
        return len(self._photos) // self._batch_size  # a smaller last batch would be easier

    def __getitem__(self, index: int) -> tuple:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        photos = self._photos[rows]  # (B,)
        return (self._vectors[photos], self._tokens[rows]), photos


def train_critic(
    prepared: Prepared,
    settings: CriticSettings,
    after_epoch: Callable[[int, float], None] | None = None,
) -> Critic:
    """A critic of the training photos and their captions; the same seed gives the same.

    after_epoch: called with the epoch's number and its mean loss.
    """
    set_seed(settings.seed)
    names, photos, captions = prepared.encoded("train")
    vectors = prepared.features.matrix(names)  # (photos, D)
    tokens = np.full((len(captions), max(map(len, captions))), PADDING, np.int32)
    for row, own in zip(tokens, captions, strict=True):
        row[: len(own)] = own
    batches = PairBatches(vectors, np.array(photos), tokens, settings)
    model = build_critic(vectors, prepared.tokenizer.size, settings)
    steps = len(batches) * settings.epochs
    model.compile(
        optimizer=keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps),
            weight_decay=settings.weight_decay,
        ),
        loss=ContrastiveLoss(settings.sharpness),
    )
    for epoch in range(settings.epochs):
        logs = model.fit(batches, epochs=1, verbose=0, shuffle=False).history
        if after_epoch:
            after_epoch(epoch + 1, float(logs["loss"][-1]))
    return weights_of(model)


def build_critic(vectors: np.ndarray, vocabulary: int, settings: CriticSettings) -> keras.Model:
    """The critic as a network of a photo's vector (B, D) and a caption's tokens (B, T).

    vectors: of the training photos, (photos, D), to standardise by. Output: the photo's and the
    caption's vectors, each of length 1, side by side, (B, 2 * size).
    """
    drop = settings.dropout
    deviations = vectors.std(axis=0)  # (D,)
    deviations[~(deviations > 1e-6 * deviations.max())] = 1  # the same in all photos
    vector = layers.Input((vectors.shape[1],), name="vector")
    x = layers.Normalization(mean=vectors.mean(axis=0), variance=deviations**2, name="standardise")(
        vector
    )
    x = layers.Dropout(drop)(x)
    x = layers.Dense(settings.width, activation="relu", name="hidden")(x)  # (B, width)
    x = layers.Dropout(drop)(x)
    photo = layers.UnitNormalization()(layers.Dense(settings.size, name="photo")(x))  # (B, size)

    tokens = layers.Input((None,), dtype="int32", name="tokens")
    is_word = ops.cast(tokens != PADDING, "float32")[..., None]  # (B, T, 1)
    x = layers.Embedding(vocabulary, settings.size, name="words")(tokens)  # (B, T, size)
    x = layers.Dropout(drop)(x) * is_word
    x = ops.sum(x, axis=1) / ops.maximum(ops.sum(is_word, axis=1), 1)  # (B, size)
    x = layers.Dropout(drop)(x)
    caption = layers.UnitNormalization()(layers.Dense(settings.size, name="caption")(x))
    return keras.Model([vector, tokens], ops.concatenate([photo, caption], axis=-1), name="critic")


class ContrastiveLoss(keras.losses.Loss):
    """Cross-entropy of finding a photo's caption among a batch's, and a caption's photo.

    sharpness: what cosines are multiplied with.
    """

    def __init__(self, sharpness: float) -> None:
        super().__init__(name="contrastive")
        self._sharpness = sharpness

    def call(self, photos: Any, vectors: Any) -> Any:
        """The loss of each pair, (B,). photos: int (B,); vectors: (B, 2 * size)."""
        seen, read = ops.split(vectors, 2, axis=-1)  # (B, size), each
        scores = ops.matmul(seen, ops.transpose(read)) * self._sharpness  # (B, B)
        photos = ops.reshape(photos, (-1,))  # (B,)
        same_photo = ops.cast(photos[:, None] == photos[None], scores.dtype)  # (B, B)
        pairs = ops.shape(scores)[0]
        scores = scores + MASKED * (same_photo - ops.eye(pairs, dtype=scores.dtype))
        own = ops.arange(pairs)  # (B,)
        losses = [
            keras.losses.sparse_categorical_crossentropy(own, each, from_logits=True)
            for each in (scores, ops.transpose(scores))
        ]
        return (losses[0] + losses[1]) / 2


def weights_of(model: keras.Model) -> Critic:
    """The trained network's weights, for use without Keras.

    The mean of the words' embeddings goes through one linear layer, so each word can go through it
    on its own.
    """
    standardise = model.get_layer("standardise")
    hidden, hidden_bias = model.get_layer("hidden").get_weights()  # (D, width), (width,)
    photo, photo_bias = model.get_layer("photo").get_weights()  # (width, size), (size,)
    caption, caption_bias = model.get_layer("caption").get_weights()  # (size, size), (size,)
    (words,) = model.get_layer("words").get_weights()  # (V, size)
    return Critic(
        np.asarray(standardise.mean)[0],
        np.sqrt(np.asarray(standardise.variance)[0]),
        hidden.astype(np.float16),
        hidden_bias,
        photo.astype(np.float16),
        photo_bias,
        (words @ caption).astype(np.float16),
        caption_bias,
    )
