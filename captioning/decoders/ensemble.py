"""Several models, or several views of a photo, that decide on each word together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np


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
    """A model that captions one view of the photos.

    photo: what its steps need of them; parts: how many arrays its state has; attends: whether its
    attention weights count. They do for the first view alone, which is the whole photo: in the
    others, mirrored or zoomed, a region shows another place of it.
    """

    steps: ModelSteps
    photo: Any
    parts: int
    attends: bool


class Ensemble:
    """Steps of several models side by side: the mean of their probabilities decides.

    A model that reads grids is a member for each view of the photo; one model and one view are an
    ensemble of one.

    reads_grids: whether any of the models does; attention: the attention weights of the latest
    step, (P, K, regions), the mean of the members that attend, or None where none does.
    """

    def __init__(self, models: Sequence[ModelSteps]) -> None:
        self._models = models
        self.reads_grids = any(steps.reads_grids for steps in models)
        self.attention: np.ndarray | None = None

    def begin(
        self, vectors: np.ndarray, grids: np.ndarray | None = None
    ) -> tuple[list[Member], list[np.ndarray]]:
        """The members with what stays the same of the photos, and all members' states in one list.

        vectors: float32 (P, D); grids: (P, views, regions, D), or None where no model reads them.
        """
        members: list[Member] = []
        state: list[np.ndarray] = []
        for steps in self._models:
            views = [vectors]
            if steps.reads_grids:
                if grids is None:
                    raise ValueError("a model of this ensemble reads grids, and there are none")
                views = list(np.moveaxis(grids, 1, 0))  # (P, regions, D), each
            for number, view in enumerate(views):
                photo, before = steps.begin(view)
                members.append(Member(steps, photo, len(before), steps.reads_grids and number == 0))
                state += before
        return members, state

    def step(
        self, words: np.ndarray, members: list[Member], state: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Log-probabilities (P, K, vocabulary) of the word after `words`, int (P, K); new state."""
        total: np.ndarray | None = None
        after: list[np.ndarray] = []
        attention: list[np.ndarray] = []
        start = 0
        for member in members:
            own_state = state[start : start + member.parts]
            found, new = member.steps.step(words, member.photo, own_state)
            start += member.parts
            after += new
            if member.attends and member.steps.attention is not None:
                attention.append(member.steps.attention)
            # Probabilities are added as logarithms, where the small ones are exact.
            total = found if total is None else np.logaddexp(total, found)
        if total is None:
            raise ValueError("an ensemble needs a member")
        self.attention = np.mean(attention, axis=0) if attention else None
        return (total - np.log(len(members)) if len(members) > 1 else total), after

    def keep(self, members: list[Member], rows: np.ndarray) -> list[Member]:
        """The members with what stays the same of some of the photos, at the places `rows`."""
        return [replace(member, photo=member.steps.keep(member.photo, rows)) for member in members]
