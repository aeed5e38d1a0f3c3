"""Knowledge distillation: teachers' word distributions as soft targets beside the captions.

Hinton et al. 2015, "Distilling the knowledge in a neural network",
https://arxiv.org/abs/1503.02531. An ensemble scores higher than any of its members; distilled
into a single model, most of that gain costs nothing when captions are generated.
"""

from collections.abc import Iterator, Sequence
from functools import reduce

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from captioning.backend import batch_workers, for_prediction
from captioning.data.prepared import Prepared
from captioning.decoders.kinds import READ_GRIDS
from captioning.training.batches import (
    Batches,
    caption_mask,
    grids_of,
    shift,
    shift_by_photo,
)
from captioning.vision.features import Features

TEACHER_SHARE = 0.7
"""The teachers' share of each target; the caption's word has the rest."""


TOP_WORDS = 32
"""How many of the teachers' most probable words a soft target keeps.

Of a vocabulary of thousands they hold nearly all of the probability, in a hundredth of the memory.
"""


PHOTOS_AT_ONCE = 32


class SoftTargets:
    """The teachers' distributions at each step of the training captions: their `TOP_WORDS` words.

    words: for each caption int32 (steps, TOP_WORDS); probabilities: for each caption float16
    (steps, TOP_WORDS), each row's sum 1; vocabulary: its size.
    """

    def __init__(
        self, words: list[np.ndarray], probabilities: list[np.ndarray], vocabulary: int
    ) -> None:
        self._words, self._probabilities, self._vocabulary = words, probabilities, vocabulary

    def mix(self, captions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Targets of teachers and captions together: float32 (..., steps, vocabulary).

        captions: int (...), the captions' positions among all, -1 where there is none; targets:
        int (..., steps), the captions' own words.
        """
        mixed = np.zeros((*targets.shape, self._vocabulary), np.float32)  # (..., T, vocabulary)
        rows = mixed.reshape(-1, *mixed.shape[-2:])  # (captions, T, vocabulary), the same memory
        for row, caption in zip(rows, captions.reshape(-1), strict=True):
            if caption >= 0:
                words = self._words[caption]  # (steps, TOP_WORDS), fewer steps than padded rows
                share = TEACHER_SHARE * self._probabilities[caption]
                np.put_along_axis(row[: len(words)], words, share, axis=-1)
        # Added, not assigned: the caption's word is most often among the teachers' as well.
        at = targets[..., None]  # (..., T, 1)
        own_word = np.take_along_axis(mixed, at, axis=-1) + 1 - TEACHER_SHARE
        np.put_along_axis(mixed, at, own_word, axis=-1)
        return mixed


class DistillationBatches(keras.utils.PyDataset):
    """Batches with soft targets, (..., T, vocabulary), in place of word numbers, (..., T)."""

    def __init__(self, batches: Batches, soft_targets: SoftTargets) -> None:
        super().__init__(workers=batch_workers())
        self._batches, self._soft_targets = batches, soft_targets
        self.start_epoch, self.rows_at = batches.start_epoch, batches.rows_at

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple:
        inputs, targets, weights = self._batches[index]
        mixed = self._soft_targets.mix(self._batches.captions_at(index), targets)
        return inputs, mixed, weights


def compute_soft_targets(
    teachers: Sequence[tuple[keras.Model, Features]], prepared: Prepared
) -> SoftTargets:
    """The mean of the teachers' distributions, over all views of a photo, for each caption.

    teachers: each with the features of the photos by its own encoder; they have the vocabulary of
    the data. Computed once before the training: teachers cost more than the student, and don't
    change. Raises `CaptioningError` when a teacher lacks the vector or the grid of a photo.
    """
    names = prepared.splits["train"]
    captions = prepared.encoded_by_photo(names)
    with_softmax = [(_with_softmax(model), features) for model, features in teachers]
    words: list[np.ndarray] = []
    probabilities: list[np.ndarray] = []
    title = f"soft targets of {len(teachers)} teacher" + "s" * (len(teachers) > 1)
    with tqdm(total=len(names), desc=title, unit=" photos") as bar:
        for start in range(0, len(names), PHOTOS_AT_ONCE):
            some = slice(start, start + PHOTOS_AT_ONCE)
            own = captions[some]
            total = reduce(
                np.add,
                (
                    distribution
                    for model, features in with_softmax
                    for distribution in _distributions(model, features, names[some], own)
                ),
            )  # (captions, T, vocabulary)
            top, shares = _top_words(total)  # (captions, T, TOP_WORDS)
            for row, tokens in enumerate(tokens for photo in own for tokens in photo):
                steps = len(tokens) + 1  # its end token is a target, too
                words.append(top[row, :steps])
                probabilities.append(shares[row, :steps])
            bar.update(len(own))
    return SoftTargets(words, probabilities, prepared.tokenizer.size)


def _with_softmax(model: keras.Model) -> keras.Model:
    """The model with probabilities instead of logits."""
    probabilities = ops.softmax(model.outputs[0])
    return for_prediction(keras.Model(model.inputs, probabilities, name=model.name))


def _top_words(total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The most probable words and their shares of (..., vocabulary): (..., TOP_WORDS) both."""
    count = min(TOP_WORDS, total.shape[-1])
    top = np.argpartition(-total, count - 1, axis=-1)[..., :count]  # (..., TOP_WORDS), no order
    shares = np.take_along_axis(total, top, axis=-1)
    # The total is a sum over teachers and views, and some words are dropped: back to a sum of 1.
    shares /= shares.sum(axis=-1, keepdims=True)
    return top.astype(np.int32), shares.astype(np.float16)


def _distributions(
    model: keras.Model, features: Features, names: list[str], captions: list[list[list[int]]]
) -> Iterator[np.ndarray]:
    """For each view of the photos the next words' probabilities, (captions, T, vocabulary)."""
    counts = list(map(len, captions))
    if model.name not in READ_GRIDS:
        vectors = np.repeat(features.matrix(names), counts, axis=0)  # (B, D)
        words, _, _ = shift([tokens for own in captions for tokens in own])  # (B, T)
        yield np.asarray(model.predict_on_batch([vectors, words]))
        return
    words, _, _ = shift_by_photo(captions, max(counts))  # (P, C, T)
    mask = caption_mask(captions)  # (P, C)
    for rows in features.grid_rows(names).T:  # (P,)
        grids = grids_of(features)[rows]  # (P, regions, D)
        # (P, C, T, vocabulary) -> (B, T, vocabulary), without the captions that fill up a photo
        yield np.asarray(model.predict_on_batch([grids, words]))[mask]
