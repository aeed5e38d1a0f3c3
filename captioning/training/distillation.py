"""Learning from other models: how likely each word is to them, beside the one that was written.

Hinton et al. 2015, "Distilling the knowledge in a neural network",
https://arxiv.org/abs/1503.02531. Several models that decide together know more than any one of
them; what they say of the training captions teaches one model most of it.
"""

from collections.abc import Iterator, Sequence

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from captioning.backend import for_prediction
from captioning.data.prepared import Prepared
from captioning.decoders.kinds import READ_GRIDS
from captioning.training.batches import Batches, shift, shift_by_photo

SHARE = 0.7
"""So much of each target is the teachers', the rest the word that was written."""


KEPT = 32
"""So many words, the teachers' likeliest, are kept of each target."""


PHOTOS_AT_ONCE = 32


class SoftTargets:
    """What teachers say of the training captions, the `KEPT` likeliest words at each place.

    words: for each caption int32 (steps, KEPT); likely: float16 (steps, KEPT), each row's sum 1.
    """

    def __init__(self, words: list[np.ndarray], likely: list[np.ndarray], vocabulary: int) -> None:
        self._words, self._likely, self._vocabulary = words, likely, vocabulary

    def targets(self, captions: np.ndarray, exact: np.ndarray) -> np.ndarray:
        """How likely each word shall be: float32 (..., steps, vocabulary).

        captions: int (...), the captions' places among all, -1 where there is none; exact: int
        (..., steps), the words that were written.
        """
        soft = np.zeros((*exact.shape, self._vocabulary), np.float32)  # (..., steps, vocabulary)
        rows = soft.reshape(-1, *soft.shape[-2:])  # (captions, steps, vocabulary), the same memory
        for row, caption in zip(rows, captions.reshape(-1), strict=True):
            if caption >= 0:
                words = self._words[caption]
                likely = SHARE * self._likely[caption]
                np.put_along_axis(row[: len(words)], words, likely, axis=-1)
        at = exact[..., None]
        written = np.take_along_axis(soft, at, axis=-1) + 1 - SHARE
        np.put_along_axis(soft, at, written, axis=-1)
        return soft


class DistillationBatches(keras.utils.PyDataset):
    """Batches whose targets are lessons instead of single words."""

    def __init__(self, batches: Batches, lessons: SoftTargets) -> None:
        super().__init__(workers=2)  # as `Batches`
        self._batches, self._lessons = batches, lessons
        self.start_epoch = batches.start_epoch

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple:
        inputs, targets, weights = self._batches[index]
        soft = self._lessons.targets(self._batches.captions_at(index), targets)
        return inputs, soft, weights


def soft_targets_of(teachers: Sequence[keras.Model], prepared: Prepared) -> SoftTargets:
    """What the teachers' mean, over all views of a photo, says of the training captions.

    They read the same vectors or grids with the same vocabulary. Raises `CaptioningError` when
    one looks at grids and there are none.
    """
    names = prepared.splits["train"]
    captions = [list(map(prepared.tokenizer.encode, prepared.captions[name])) for name in names]
    members = list(map(_with_probabilities, teachers))
    words, likely = [], []
    title = f"asking {len(teachers)} teacher" + "s" * (len(teachers) > 1)
    with tqdm(total=len(names), desc=title, unit=" photos") as bar:
        for start in range(0, len(names), PHOTOS_AT_ONCE):
            some = slice(start, start + PHOTOS_AT_ONCE)
            own = captions[some]
            total = sum(
                said for model in members for said in _answers(model, prepared, names[some], own)
            )  # (captions, steps, vocabulary)
            best, shares = _likeliest(total)  # (captions, steps, KEPT)
            for row, tokens in enumerate(tokens for photo in own for tokens in photo):
                steps = len(tokens) + 1  # its end is a place, too
                words.append(best[row, :steps])
                likely.append(shares[row, :steps])
            bar.update(len(own))
    return SoftTargets(words, likely, prepared.tokenizer.size)


def _with_probabilities(model: keras.Model) -> keras.Model:
    """The model with probabilities instead of logits."""
    said = ops.softmax(model.outputs[0])
    return for_prediction(keras.Model(model.inputs, said, name=model.name))


def _likeliest(total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The `KEPT` words with most of (..., vocabulary), and the share of each, (..., KEPT) both."""
    kept = min(KEPT, total.shape[-1])
    best = np.argpartition(-total, kept - 1, axis=-1)[..., :kept]  # (..., KEPT)
    shares = np.take_along_axis(total, best, axis=-1)
    shares /= shares.sum(axis=-1, keepdims=True)
    return best.astype(np.int32), shares.astype(np.float16)


def _answers(
    model: keras.Model, prepared: Prepared, names: list[str], captions: list[list[list[int]]]
) -> Iterator[np.ndarray]:
    """For each view of the photos, the probabilities of the next words, (B, T, vocabulary)."""
    counts = list(map(len, captions))
    if model.name not in READ_GRIDS:
        vectors = np.repeat(prepared.features.matrix(names), counts, axis=0)  # (B, D)
        words, _, _ = shift([tokens for own in captions for tokens in own])  # (B, T)
        yield np.asarray(model.predict_on_batch([vectors, words]))
        return
    words, _, _ = shift_by_photo(captions, max(counts))  # (P, C, T)
    there = np.arange(max(counts)) < np.array(counts)[:, None]  # (P, C)
    for rows in prepared.features.grid_rows(names).T:  # (P,)
        grids = prepared.features.grids[rows]
        yield np.asarray(model.predict_on_batch([grids, words]))[there]  # (B, T, vocabulary)
