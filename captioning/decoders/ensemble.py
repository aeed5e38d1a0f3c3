"""Several models, or several views of a photo, that decide on each word together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NamedTuple, Protocol

import numpy as np


class Seen(NamedTuple):
    """What an encoder saw of P photos.

    vectors: float32 (P, D); grids: (P, views, regions, D), or None where no model reads them.
    """

    vectors: np.ndarray
    grids: np.ndarray | None


class ModelSteps(Protocol):
    """One model, run word by word for P photos with K hypotheses each.

    `MergeSteps`, `AttentionSteps` and `TransformerSteps` run Keras' layers, `OnnxSteps` a file that
    was exported. reads_grids: whether `begin` wants grids (P, regions, D), or vectors (P, D);
    attention: the weights of the latest step, (P, K, regions), or None for a model without.
    """

    reads_grids: bool
    attention: np.ndarray | None

    def begin(self, photos: np.ndarray) -> tuple[Any, list[np.ndarray]]:
        """What stays the same of the photos through a caption, and the state before any word."""
        ...

    def step(
        self, words: np.ndarray, photo: Any, state: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Log-probabilities (P, K, vocabulary) of the word after `words`, int (P, K); new state."""
        ...

    def keep(self, photo: Any, rows: np.ndarray) -> Any:
        """What stays the same of some of the photos, at the places `rows`."""
        ...


@dataclass(frozen=True)
class Member:
    """A model that captions the photos, in one view or in several side by side.

    photo: what its steps need of them, rows (views * P), all photos' first view before any second
    one; views: how many; parts: how many arrays a view's state has.
    """

    steps: ModelSteps
    photo: Any
    views: int
    parts: int


class Ensemble:
    """Steps of several models side by side: the mean of their probabilities decides.

    Each view of the photo that a model reads counts like a model; one model and one view are an
    ensemble of one. The views of a model are computed together, as if they were more photos.

    models: of each encoder its models, one list an encoder. The models of different encoders see
    the same photos differently, and say the same words.

    reads_grids: whether any of the models does; attends: whether any of the first encoder's does;
    attention: their attention weights of the latest step, (P, K, regions), the mean of the models
    that attend, or None where none does. Those of
    the first view count, which is the whole photo: in the others, mirrored or zoomed, a region
    shows another place of it.
    """

    def __init__(self, *models: Sequence[ModelSteps]) -> None:
        if not models or not all(models):
            raise ValueError("an ensemble needs a model, of each encoder")
        self._models = models
        self.reads_grids = any(steps.reads_grids for own in models for steps in own)
        self.attends = any(steps.reads_grids for steps in models[0])
        self.attention: np.ndarray | None = None

    def begin(
        self, vectors: np.ndarray, grids: np.ndarray | None = None, others: Sequence[Seen] = ()
    ) -> tuple[list[Member], list[np.ndarray]]:
        """The members with what stays the same of the photos, and all views' states in one list.

        vectors, grids: as in `Seen`, of the first encoder; others: of the others, in their order.
        """
        members: list[Member] = []
        state: list[np.ndarray] = []
        seen = [Seen(vectors, grids), *others]
        pairs = [(steps, one) for own, one in zip(self._models, seen, strict=True) for steps in own]
        for steps, (vectors, grids) in pairs:
            photos, views = vectors, 1
            if steps.reads_grids:
                if grids is None:
                    raise ValueError("a model of this ensemble reads grids, and there are none")
                views = grids.shape[1]
                # (P, views, regions, D) -> (views * P, regions, D)
                photos = np.moveaxis(grids, 1, 0).reshape(-1, *grids.shape[2:])
            photo, before = steps.begin(photos)
            members.append(Member(steps, photo, views, len(before)))
            state += _by_view(before, views)
        return members, state

    def step(
        self, words: np.ndarray, members: list[Member], state: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Log-probabilities (P, K, vocabulary) of the word after `words`, int (P, K); new state."""
        found: list[np.ndarray] = []
        after: list[np.ndarray] = []
        attention: list[np.ndarray] = []
        start = 0
        for place, member in enumerate(members):
            count = member.views * member.parts
            own = _together(state[start : start + count], member.views)
            start += count
            log_probabilities, new = member.steps.step(
                np.tile(words, (member.views, 1)), member.photo, own
            )  # (views * P, K, vocabulary)
            found += np.split(log_probabilities, member.views)
            after += _by_view(new, member.views)
            # The grids of other encoders may have other regions.
            if member.steps.attention is not None and place < len(self._models[0]):
                attention.append(member.steps.attention[: len(words)])
        self.attention = np.mean(attention, axis=0) if attention else None
        return _log_of_mean(found), after

    def keep(self, members: list[Member], rows: np.ndarray) -> list[Member]:
        """The members with what stays the same of some of the photos, at the places `rows`."""
        kept = []
        for member in members:
            photos = len(_first_part(member.photo)) // member.views
            # The same photos' rows of every view.
            every = (np.arange(member.views)[:, None] * photos + rows).reshape(-1)
            kept.append(replace(member, photo=member.steps.keep(member.photo, every)))
        return kept


def _first_part(photo: Any) -> Any:
    return photo[0] if isinstance(photo, list) else photo


def _by_view(parts: list[np.ndarray], views: int) -> list[np.ndarray]:
    """Arrays (views * P, ...) -> for each view in turn its part of each, (P, ...).

    A search puts hypotheses into a new order by the first two dimensions, photos and hypotheses.
    """
    split = [np.split(part, views) for part in parts]
    return [part[view] for view in range(views) for part in split]


def _together(parts: list[np.ndarray], views: int) -> list[np.ndarray]:
    """The opposite of `_by_view`."""
    if views == 1:
        return parts
    count = len(parts) // views
    return [np.concatenate(parts[place::count]) for place in range(count)]


def _log_of_mean(found: list[np.ndarray]) -> np.ndarray:
    """The logarithm of the mean of probabilities that are given as logarithms."""
    if len(found) == 1:
        return found[0]
    # Relative to the largest, so that the small ones are exact: exp of -200 is 0 in float32.
    largest = reduce(np.maximum, found)
    total = reduce(np.add, (np.exp(one - largest) for one in found))
    return largest + np.log(total / len(found))
