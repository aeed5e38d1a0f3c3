"""Batches for `keras.Model.fit`: captions as token numbers, grouped by length, with their photos.

Targets are made for teacher forcing: at each step the decoder reads the words before and
predicts the next one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import keras
import numpy as np

from captioning.backend import batch_workers
from captioning.data.prepared import Prepared
from captioning.data.text import END, PADDING, START
from captioning.data.token_rows import PhotoRows, TokenRows
from captioning.decoders.kinds import READ_GRIDS
from captioning.errors import CaptioningError, command_line
from captioning.training.distribution import own_share
from captioning.training.settings import TrainingSettings
from captioning.vision.features import Features


@dataclass(frozen=True)
class Weighting:
    """How much the targets of sampled captions count in the loss.

    captions: float32, a factor for each caption, (captions,) or, for `PhotoBatches`, (photos, C);
    cut_at: a caption of so many words was cut off there, so its end token has weight 0.
    """

    captions: np.ndarray
    cut_at: int | None = None


def shift(
    captions: list[list[int]], cut_at: int | None = None, longest: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, targets and weights of a batch of captions (token numbers without markers).

    inputs and targets: int32 (captions, steps), `<start> a dog` and `a dog <end>`, padded at
    the end; weights: float32 (captions, steps), 1 where the target is a word or the end token.
    cut_at: as in `Weighting`; longest: words of the longest caption, if it is of another part of
    the batch.
    """
    steps = (max(map(len, captions)) if longest is None else longest) + 1
    inputs = np.full((len(captions), steps), PADDING, np.int32)
    targets = np.full((len(captions), steps), PADDING, np.int32)
    for row, tokens in enumerate(captions):
        inputs[row, : len(tokens) + 1] = [START, *tokens]
        targets[row, : len(tokens) + 1] = [*tokens, END]
    is_learned = targets != PADDING
    if cut_at is not None and cut_at < steps:
        # Only a caption of exactly `cut_at` words has its end token in this column. The decoder
        # never chose that token, so it must not learn to end there.
        is_learned[:, cut_at] &= targets[:, cut_at] != END
    return inputs, targets, is_learned.astype(np.float32)


def shift_by_photo(
    captions: list[list[list[int]]],
    per_photo: int,
    cut_at: int | None = None,
    longest: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `shift`, of photos with up to `per_photo` captions: all (photos, per_photo, steps).

    A photo with fewer captions is filled up with empty ones, of which only the markers are no
    padding; `caption_mask` tells them apart.
    """
    flat = [tokens for own in captions for tokens in own + [[]] * (per_photo - len(own))]
    inputs, targets, weights = (
        part.reshape(len(captions), per_photo, -1) for part in shift(flat, cut_at, longest)
    )  # (photos, per_photo, steps)
    return inputs, targets, weights


def caption_mask(captions: Sequence[list[list[int]]]) -> np.ndarray:
    """Which captions of `shift_by_photo` are real: bool (photos, C), C of the photo with most."""
    if isinstance(captions, PhotoRows):
        counts = captions.counts
    else:
        counts = np.array([len(own) for own in captions])  # (photos,)
    return np.arange(counts.max()) < counts[:, None]


class Batches(keras.utils.PyDataset):
    """Batches of rows of similar length, so that hardly any padding is computed.

    The order depends on seed and epoch alone: a resumed run draws the order that it would have
    had without the interruption. `words` is how many words, end tokens included, an epoch
    predicts.

    Where several processes train together, an item is this process' share of a batch, with the
    same shape in each. A batch that doesn't divide is filled up with copies of its first row, of
    weight 0; the weights of the others are larger by as much, so that a mean over the batch, and
    one over its weights, is as it was.
    """

    def __init__(self, lengths: np.ndarray, words: np.ndarray, batch_size: int, seed: int) -> None:
        super().__init__(workers=batch_workers())
        self._lengths, self._batch_size, self._seed = lengths, batch_size, seed
        self._words_of = words
        self.words = int(words.sum())
        self._share = own_share()
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Draw the order of an epoch."""
        self.epoch = epoch
        generator = np.random.default_rng((self._seed, epoch))
        # Shuffled first, then sorted stably by length: rows of one length stay in random order,
        # so that a batch has other captions in each epoch. The batches are shuffled at the end.
        order = generator.permutation(len(self._lengths))
        order = order[np.argsort(self._lengths[order], kind="stable")]
        batches = np.split(order, range(self._batch_size, len(order), self._batch_size))
        batch_order = list(generator.permutation(len(batches)))
        # Keras takes the shapes of the first two batches to find out which dimensions vary. Were
        # these two equally long, it would refuse the first batch of another length.
        longest = [self._lengths[batches[i]].max() for i in batch_order]
        other = next((k for k, length in enumerate(longest) if length != longest[0]), None)
        if other is not None:
            batch_order[1], batch_order[other] = batch_order[other], batch_order[1]
        self._batches = [batches[i] for i in batch_order]

    def __len__(self) -> int:
        return len(self._batches)

    def words_at(self, index: int) -> int:
        """How many words, end tokens included, a whole batch predicts."""
        return int(self._words_of[self._batches[index]].sum())

    def rows_at(self, index: int) -> tuple[int, int]:
        """How many rows a whole batch has, before and after it is filled up."""
        rows = len(self._batches[index])
        return rows, self._share.filled(rows)

    def captions_at(self, index: int) -> np.ndarray:
        """The positions of a batch's captions among all captions, int; -1 for no caption."""
        raise NotImplementedError

    def _own_rows(self, index: int) -> tuple[np.ndarray, np.ndarray, int]:
        """This process' rows of a batch, (B,); the factors of their weights, float32 (B,).

        And the words of the longest caption of the whole batch.
        """
        rows = self._batches[index]
        own = self._share.of(rows)
        before, after = self.rows_at(index)
        factors = np.where(own < 0, 0, after / before).astype(np.float32)
        return np.where(own < 0, rows[0], own), factors, int(self._lengths[rows].max())


class CaptionBatches(Batches):
    """Batches of captions, each with its photo's vector: for decoders that read vectors.

    vectors: float32 (photos, D); photos: int (captions,), each caption's row in `vectors`;
    captions: their token numbers, without markers. An item is
    `((vectors, inputs), targets, weights)`, shapes (B, D), (B, T), (B, T), (B, T).
    """

    def __init__(
        self,
        vectors: np.ndarray,
        photos: np.ndarray,
        captions: Sequence[list[int]],
        batch_size: int = 128,
        seed: int = 0,
        weighting: Weighting | None = None,
    ) -> None:
        self._vectors, self._photos, self._captions = vectors, np.asarray(photos), captions
        self._weighting = weighting or Weighting(np.ones(len(captions), np.float32))
        lengths = _lengths(captions)
        super().__init__(lengths, lengths + 1, batch_size, seed)

    def __getitem__(self, index: int) -> tuple:
        rows, factors, longest = self._own_rows(index)
        inputs, targets, weights = shift(
            [self._captions[row] for row in rows], self._weighting.cut_at, longest
        )
        weights *= (factors * self._weighting.captions[rows])[:, None]
        return (self._vectors[self._photos[rows]], inputs), targets, weights

    def captions_at(self, index: int) -> np.ndarray:
        """The positions of a batch's captions among all captions: int (B,)."""
        return self._share.of(self._batches[index])


class PhotoBatches(Batches):
    """Batches of photos' grids, each with all of its captions: for decoders that read grids.

    A grid is far larger than a caption: with all captions of a photo in one batch, it is read and
    projected once instead of five times.

    grids: float16 (rows, regions, D); views: int (photos, views), the rows of each photo and of
    its other views (mirrored, say), of which each epoch draws one; captions: for each photo its
    captions' token numbers, without markers. An item is `((grids, inputs), targets, weights)`,
    shapes (P, regions, D), (P, C, T), (P, C, T), (P, C, T).
    """

    def __init__(
        self,
        grids: np.ndarray,
        views: np.ndarray,
        captions: Sequence[list[list[int]]],
        batch_size: int = 32,
        seed: int = 0,
        weighting: Weighting | None = None,
    ) -> None:
        self._grids, self._views, self._captions = grids, views, captions
        mask = caption_mask(captions)  # (photos, C)
        self._per_photo = mask.shape[1]
        counts = mask.sum(axis=1)  # (photos,)
        first = np.cumsum(counts) - counts  # (photos,), each photo's first caption among all
        self._positions = np.where(mask, first[:, None] + np.arange(self._per_photo), -1)
        # Captions that fill up a photo have weight 0.
        self._weighting = weighting or Weighting(mask.astype(np.float32))
        flat = captions.captions if isinstance(captions, PhotoRows) else list(chain(*captions))
        every = _lengths(flat)  # (captions,)
        lengths = np.maximum.reduceat(every, first)  # (photos,)
        words = np.add.reduceat(every, first) + counts
        super().__init__(lengths, words, batch_size, seed)

    def __getitem__(self, index: int) -> tuple:
        rows, factors, longest = self._own_rows(index)
        # A generator of its own for each batch: two workers may ask for batches in any order. It
        # draws for the whole batch, whoever computes a row of it.
        generator = np.random.default_rng((self._seed, self.epoch, index))
        count = len(self._batches[index])
        views = generator.integers(self._views.shape[1], size=count)  # (all photos of the batch,)
        own = self._share.of(np.arange(count))  # (P,)
        drawn = self._views[rows, views[np.maximum(own, 0)]]  # (P,)
        inputs, targets, weights = shift_by_photo(
            [self._captions[row] for row in rows],
            self._per_photo,
            self._weighting.cut_at,
            longest,
        )  # (P, C, T)
        weights *= (factors[:, None] * self._weighting.captions[rows])[..., None]
        return (self._grids[drawn], inputs), targets, weights

    def captions_at(self, index: int) -> np.ndarray:
        """The positions of a batch's captions among all: int (P, C), -1 where a photo has fewer."""
        own = self._share.of(self._batches[index])
        return np.where(own[:, None] < 0, -1, self._positions[own])


def _lengths(captions: Sequence[list[int]]) -> np.ndarray:
    """How many words each caption has: int (captions,)."""
    if isinstance(captions, TokenRows):
        return captions.lengths
    return np.array([len(tokens) for tokens in captions])


def make_batches(prepared: Prepared, split: str, settings: TrainingSettings) -> Batches:
    """The batches of a split, "train" or "dev", for the decoder of these settings.

    Raises `CaptioningError` when the decoder reads grids and there are none.
    """
    # Dev's batches are larger: without gradients they take less memory.
    size = settings.batch_size * (2 if split != "train" else 1)
    if settings.decoder in READ_GRIDS:
        names = prepared.splits[split]
        views = prepared.features.grid_rows(names)  # (photos, views)
        if split != "train":
            views = views[:, :1]  # dev's loss is always of the photo itself, never mirrored
        by_photo = prepared.encoded_by_photo(names)
        return PhotoBatches(grids_of(prepared.features), views, by_photo, size, settings.seed)
    names, photos, captions = prepared.encoded(split)
    vectors, rows = prepared.features.vector_rows(names)
    return CaptionBatches(vectors, rows[photos], captions, size, settings.seed)


def grids_of(features: Features) -> np.ndarray:
    """The grids of all photos and views, float16 (rows, regions, D).

    Raises `CaptioningError` when the features were extracted without grids.
    """
    grids = features.grids
    if grids is None:
        raise CaptioningError(
            f"the data have no grids; run {command_line('features')} with --grids"
        )
    return grids
