"""A few photos of dev, captioned by greedy search after each epoch, and the CIDEr of that."""

from functools import cached_property
from typing import Any

import numpy as np

from captioning.data.prepared import Prepared
from captioning.decoders.build import steps_of
from captioning.decoders.kinds import READ_GRIDS
from captioning.inference.search import greedy
from captioning.inference.settings import DecodingSettings
from captioning.training.batches import grids_of
from captioning.training.rewards import CiderRewards

FILMED = 4
"""The captions of so many photos of dev are kept for people to watch."""

SCORED = 100
"""CIDEr is told of so many photos of dev: enough to see it rise, in a second or two an epoch."""


class FewPhotos:
    """The same few photos of a dev split, from all parts of it.

    filmed, scored: their names, those for people to watch and those of the CIDEr.
    """

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self.filmed, self.scored = _spread(prepared, FILMED), _spread(prepared, SCORED)
        self._names = list(dict.fromkeys([*self.filmed, *self.scored]))
        self._model: Any = None

    def captions(self, model: Any) -> dict[str, tuple[int, ...]]:
        """Of each of them the caption, in tokens, of the model as it is now."""
        if model is not self._model:  # its steps are compiled once
            self._model, self._steps = model, steps_of(model)
        features = self._prepared.features
        if model.name in READ_GRIDS:
            rows = features.grid_rows(self._names)[:, 0]  # (photos,): the first view of each
            inputs = grids_of(features)[rows]  # (photos, regions, D)
        else:
            inputs = features.matrix(self._names)  # (photos, D)
        photo, state = self._steps.begin(inputs)
        found = greedy(
            lambda words, state: self._steps.step(words, photo, state),
            state,
            len(self._names),
            DecodingSettings(max_words=self._prepared.longest),
        )
        return {
            name: hypothesis.tokens for name, hypothesis in zip(self._names, found, strict=True)
        }

    def film(self, captions: dict[str, tuple[int, ...]]) -> dict[str, str]:
        """The captions of the photos that people watch."""
        return {name: self._prepared.tokenizer.decode(captions[name]) for name in self.filmed}

    def cider(self, captions: dict[str, tuple[int, ...]]) -> float:
        """Mean CIDEr-D (times 100) of `scored`, with end tokens, as fine-tuning counts it."""
        places = {name: place for place, name in enumerate(self._prepared.splits["dev"])}
        scores = [self._rewards.of(places[name], list(captions[name])) for name in self.scored]
        return 100 * float(np.mean(scores))

    @cached_property
    def _rewards(self) -> CiderRewards:
        # Of all dev photos: how rare n-grams are is told by many captions.
        return CiderRewards(self._prepared, self._prepared.splits["dev"], self._prepared.longest)


def _spread(prepared: Prepared, count: int) -> list[str]:
    names = prepared.splits["dev"]
    places = np.linspace(0, len(names) - 1, min(count, len(names))).astype(int)
    return [names[place] for place in places]
