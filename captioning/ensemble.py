"""Several models that decide on each word together; one model is an ensemble of one."""

from collections.abc import Sequence

import keras
import numpy as np

from captioning.decoders import READ_GRIDS, steps_of


class Ensemble:
    """Steps of several models side by side: the mean of their probabilities decides."""

    def __init__(self, models: Sequence[keras.Model]) -> None:
        self._members = [steps_of(model) for model in models]
        self._look = [model.name in READ_GRIDS for model in models]
        self._parts: list[int] = []

    def begin(
        self, vectors: np.ndarray, grids: np.ndarray | None = None
    ) -> tuple[list, list[np.ndarray]]:
        """What stays, for each member, and all members' states in one list."""
        begun = [
            member.begin(grids if look else vectors)
            for member, look in zip(self._members, self._look, strict=True)
        ]
        self._parts = [len(state) for _, state in begun]
        return [photo for photo, _ in begun], [part for _, state in begun for part in state]

    def step(
        self, words: np.ndarray, photo: list, state: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Log-probabilities (P, K, vocabulary) of the word after `words`, int (P, K); new state."""
        total, after, start = None, [], 0
        for member, own, parts in zip(self._members, photo, self._parts, strict=True):
            log_probabilities, new = member.step(words, own, state[start : start + parts])
            after += new
            start += parts
            total = log_probabilities if total is None else np.logaddexp(total, log_probabilities)
        return total - np.log(len(self._members)) if len(self._members) > 1 else total, after

    def keep(self, photo: list, rows: np.ndarray) -> list:
        """What stays, of some of the photos."""
        return keras.tree.map_structure(lambda part: keras.ops.take(part, rows, axis=0), photo)
