"""The batch generator: captions as numbers, grouped by length, for `keras.Model.fit`."""

import keras
import numpy as np

from captioning.text import END, PADDING, START


def shift(captions: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, targets and weights of a batch of captions (numbers without markers).

    inputs and targets: int32 (captions, steps), `<start> a dog` and `a dog <end>`, padded at
    the end; weights: float32 (captions, steps), 1 where the target is a word or the end.
    """
    steps = max(map(len, captions)) + 1
    inputs = np.full((len(captions), steps), PADDING, np.int32)
    targets = np.full((len(captions), steps), PADDING, np.int32)
    for row, tokens in enumerate(captions):
        inputs[row, : len(tokens) + 1] = [START, *tokens]
        targets[row, : len(tokens) + 1] = [*tokens, END]
    return inputs, targets, (targets != PADDING).astype(np.float32)


class CaptionBatches(keras.utils.PyDataset):
    """Batches of whole captions with their photos' vectors.

    vectors: float32 (photos, D); photos: for each caption its photo's row in `vectors`;
    captions: the numbers of each caption, without markers. An item is
    `((vectors, inputs), targets, weights)`, shapes (B, D), (B, T), (B, T), (B, T).

    Captions of like length share a batch, so hardly any padding is computed. The order is a
    function of seed and epoch alone: an interrupted run goes on with the order it would have had.
    """

    def __init__(
        self,
        vectors: np.ndarray,
        photos: np.ndarray,
        captions: list[list[int]],
        batch_size: int = 128,
        seed: int = 0,
    ) -> None:
        # Two workers: with one, TensorFlow's own prefetching takes seconds to stop each epoch.
        # Batches still come in order.
        super().__init__(workers=2)
        self._vectors, self._photos, self._captions = vectors, np.asarray(photos), captions
        self._lengths = np.array([len(tokens) for tokens in captions])
        self._batch_size, self._seed = batch_size, seed
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Draw the order of an epoch."""
        generator = np.random.default_rng((self._seed, epoch))
        order = generator.permutation(len(self._captions))
        order = order[np.argsort(self._lengths[order], kind="stable")]
        cuts = range(self._batch_size, len(order), self._batch_size)
        batches = np.split(order, cuts)
        drawn = list(generator.permutation(len(batches)))
        # Keras looks at the first two batches to learn which dimensions vary: let theirs differ.
        lengths = [self._lengths[batches[i]].max() for i in drawn]
        other = next((k for k, n in enumerate(lengths) if n != lengths[0]), None)
        if other is not None:
            drawn[1], drawn[other] = drawn[other], drawn[1]
        self._batches = [batches[i] for i in drawn]

    @property
    def words(self) -> int:
        """How many words, ends included, an epoch predicts."""
        return int(self._lengths.sum()) + len(self._lengths)

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple:
        rows = self._batches[index]
        inputs, targets, weights = shift([self._captions[row] for row in rows])
        return (self._vectors[self._photos[rows]], inputs), targets, weights
