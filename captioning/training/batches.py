"""The batch generator: captions as numbers, grouped by length, for `keras.Model.fit`."""

import keras
import numpy as np

from captioning.data.text import END, PADDING, START


def shift(
    captions: list[list[int]], cut: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, targets and weights of a batch of captions (numbers without markers).

    inputs and targets: int32 (captions, steps), `<start> a dog` and `a dog <end>`, padded at
    the end; weights: float32 (captions, steps), 1 where the target is a word or the end. Captions
    of `cut` words were cut off there: that they end is not to be learned.
    """
    steps = max(map(len, captions)) + 1
    inputs = np.full((len(captions), steps), PADDING, np.int32)
    targets = np.full((len(captions), steps), PADDING, np.int32)
    for row, tokens in enumerate(captions):
        inputs[row, : len(tokens) + 1] = [START, *tokens]
        targets[row, : len(tokens) + 1] = [*tokens, END]
    learned = targets != PADDING
    if cut is not None and cut < steps:
        learned[:, cut] &= targets[:, cut] != END
    return inputs, targets, learned.astype(np.float32)


def shift_by_photo(
    captions: list[list[list[int]]], most: int, cut: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `shift`, of photos with at most `most` captions each: (photos, most, steps), all three.

    Of captions that a photo lacks all is padding but the markers.
    """
    flat = [tokens for own in captions for tokens in own + [[]] * (most - len(own))]
    inputs, targets, weights = (
        part.reshape(len(captions), most, -1) for part in shift(flat, cut)
    )  # (photos, most, steps)
    return inputs, targets, weights


class Batches(keras.utils.PyDataset):
    """Batches drawn so that rows of like length share one and hardly any padding is computed.

    The order is a function of seed and epoch alone: an interrupted run goes on with the order
    it would have had.
    """

    def __init__(self, lengths: np.ndarray, words: int, batch_size: int, seed: int) -> None:
        # Two workers: with one, TensorFlow's own prefetching takes seconds to stop each epoch.
        # Batches still come in order.
        super().__init__(workers=2)
        self._lengths, self._batch_size, self._seed = lengths, batch_size, seed
        self.words = words
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Draw the order of an epoch."""
        self.epoch = epoch
        generator = np.random.default_rng((self._seed, epoch))
        order = generator.permutation(len(self._lengths))
        order = order[np.argsort(self._lengths[order], kind="stable")]
        batches = np.split(order, range(self._batch_size, len(order), self._batch_size))
        drawn = list(generator.permutation(len(batches)))
        # Keras looks at the first two batches to learn which dimensions vary: let theirs differ.
        lengths = [self._lengths[batches[i]].max() for i in drawn]
        other = next((k for k, n in enumerate(lengths) if n != lengths[0]), None)
        if other is not None:
            drawn[1], drawn[other] = drawn[other], drawn[1]
        self._batches = [batches[i] for i in drawn]

    def __len__(self) -> int:
        return len(self._batches)


class CaptionBatches(Batches):
    """Batches of whole captions with their photos' vectors.

    vectors: float32 (photos, D); photos: for each caption its photo's row in `vectors`;
    captions: the numbers of each caption, without markers. An item is
    `((vectors, inputs), targets, weights)`, shapes (B, D), (B, T), (B, T), (B, T). `words` is how
    many words, ends included, an epoch predicts. `worth`, float32 (captions,), multiplies the
    weights; `cut` as in `shift`.
    """

    def __init__(
        self,
        vectors: np.ndarray,
        photos: np.ndarray,
        captions: list[list[int]],
        batch_size: int = 128,
        seed: int = 0,
        worth: np.ndarray | None = None,
        cut: int | None = None,
    ) -> None:
        self._vectors, self._photos, self._captions = vectors, np.asarray(photos), captions
        self._cut = cut
        self._worth = np.ones(len(captions), np.float32) if worth is None else worth
        lengths = np.array([len(tokens) for tokens in captions])
        super().__init__(lengths, int(lengths.sum()) + len(lengths), batch_size, seed)

    def __getitem__(self, index: int) -> tuple:
        rows = self._batches[index]
        inputs, targets, weights = shift([self._captions[row] for row in rows], self._cut)
        weights *= self._worth[rows, None]
        return (self._vectors[self._photos[rows]], inputs), targets, weights

    def captions_at(self, index: int) -> np.ndarray:
        """The places of a batch's captions among all: int (B,)."""
        return self._batches[index]


class PhotoBatches(Batches):
    """Batches of photos' grids, each with all of its captions.

    grids: float16 (rows, regions, D); views: int (photos, views), the rows of each photo and of
    its other views (mirrored, say), of which each epoch draws one; captions: for each photo its
    captions' numbers, without markers. An item is `((grids, inputs), targets, weights)`, shapes
    (P, regions, D), (P, C, T), (P, C, T), (P, C, T). `words` as in `CaptionBatches`; `worth`,
    float32 (photos, C), multiplies the weights; `cut` as in `shift`.
    """

    def __init__(
        self,
        grids: np.ndarray,
        views: np.ndarray,
        captions: list[list[list[int]]],
        batch_size: int = 32,
        seed: int = 0,
        worth: np.ndarray | None = None,
        cut: int | None = None,
    ) -> None:
        self._grids, self._views, self._captions, self._cut = grids, views, captions, cut
        self._most = max(map(len, captions))
        counts = np.array([len(own) for own in captions])
        there = np.arange(self._most) < counts[:, None]  # (photos, C)
        first = np.cumsum(counts) - counts  # (photos,)
        self._places = np.where(there, first[:, None] + np.arange(self._most), -1)  # (photos, C)
        # Captions that a photo lacks have no weight.
        self._worth = there.astype(np.float32) if worth is None else worth
        lengths = np.array([max(map(len, own)) for own in captions])
        words = sum(len(tokens) + 1 for own in captions for tokens in own)
        super().__init__(lengths, words, batch_size, seed)

    def __getitem__(self, index: int) -> tuple:
        rows = self._batches[index]
        views = self._views[rows]  # (P, views)
        generator = np.random.default_rng((self._seed, self.epoch, index))
        drawn = views[np.arange(len(rows)), generator.integers(views.shape[1], size=len(rows))]
        own = [self._captions[row] for row in rows]
        inputs, targets, weights = shift_by_photo(own, self._most, self._cut)  # (P, C, T)
        weights *= self._worth[rows, :, None]
        return (self._grids[drawn], inputs), targets, weights

    def captions_at(self, index: int) -> np.ndarray:
        """The places of a batch's captions among all: int (P, C), -1 where a photo has fewer."""
        return self._places[self._batches[index]]
