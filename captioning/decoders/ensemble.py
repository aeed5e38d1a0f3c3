"""Several models, or views of a photo, that decide on each word together."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from captioning.decoders.build import steps_of
from captioning.decoders.kinds import READ_GRIDS


class Ensemble:
    """Steps of several models side by side: the mean of their probabilities decides.

    A model that looks at grids has a voice for each view of the photo; one model and one view
    are an ensemble of one. After a step, `seen` says how much each hypothesis looked at each
    region, (P, K, regions), the mean of the members that look; None where none does.
    """

    def __init__(self, models: Sequence[keras.Model]) -> None:
        self._members = [(steps_of(model), model.name in READ_GRIDS) for model in models]
        self.seen: np.ndarray | None = None

    def begin(
        self, vectors: np.ndarray, grids: np.ndarray | None = None
    ) -> tuple[list, list[np.ndarray]]:
        """What stays, for each voice, and all voices' states in one list.

        vectors: float32 (P, D); grids: (P, views, regions, D), or None where no model looks.
        """
        voices, state = [], []
        for steps, looks in self._members:
            for view, photo in enumerate(np.moveaxis(grids, 1, 0) if looks else [vectors]):
                kept, before = steps.begin(photo)
                voices.append((steps, kept, len(before), looks and view == 0))
                state += before
        return voices, state

    def step(
        self, words: np.ndarray, voices: list, state: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Log-probabilities (P, K, vocabulary) of the word after `words`, int (P, K); new state."""
        total, after, start, seen = None, [], 0, []
        for steps, kept, parts, looks in voices:
            found, new = steps.step(words, kept, state[start : start + parts])
            after += new
            start += parts
            if looks:
                seen.append(steps.seen)
            total = found if total is None else np.logaddexp(total, found)
        self.seen = np.mean(seen, axis=0) if seen else None
        return (total - np.log(len(voices)) if len(voices) > 1 else total), after

    def keep(self, voices: list, rows: np.ndarray) -> list:
        """What stays, of some of the photos, for each voice."""

        def some(part: Any) -> Any:
            return keras.ops.take(part, rows, axis=0)

        return [
            (steps, keras.tree.map_structure(some, kept), *others)
            for steps, kept, *others in voices
        ]
