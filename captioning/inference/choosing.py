"""Which of a beam's captions comes first, by more than their probability."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from captioning.errors import CaptioningError, command_line
from captioning.inference.critic import Critic
from captioning.inference.search import Hypothesis
from captioning.inference.settings import DecodingOptions, DecodingSettings

if TYPE_CHECKING:
    from captioning.inference.neighbours import Neighbours


@dataclass(frozen=True, eq=False)
class Judges:
    """What there is to choose by: a model's critic, the training photos. None for neither.

    encoder: the place of the critic's encoder among the models'; weight: the critic's own.
    Neighbours are of the first encoder.
    """

    critic: Critic | None = None
    neighbours: "Neighbours | None" = None
    encoder: int = 0
    weight: float | None = None

    def settle(
        self, settings: DecodingSettings, asked: DecodingOptions, model: str
    ) -> DecodingSettings:
        """The settings, without the weights of judges that aren't there.

        model: its folder. Raises `CaptioningError` for a weight that was asked for.
        """
        if self.critic is None:
            if asked.critic:
                raise CaptioningError(
                    f"{model} has no critic; train it with: {command_line('train')} --critic "
                    f"{model}"
                )
            settings = replace(settings, critic=0.0)
        elif asked.critic is None and self.weight is not None:
            settings = replace(settings, critic=self.weight)
        if self.neighbours is None:
            if asked.neighbours:
                raise CaptioningError(
                    "a weight of neighbours wants the training data: name their folder with "
                    "--neighbours"
                )
            settings = replace(settings, neighbours=0.0)
        return settings

    def choose(
        self,
        found: list[list[Hypothesis]],
        seen: Sequence[np.ndarray],
        settings: DecodingSettings,
        text: Callable[[Hypothesis], str],
    ) -> list[list[Hypothesis]]:
        """The hypotheses of each photo, best first by all that counts.

        With no judge it's the beam's own order, which a length power other than 1 makes another
        than that of scores. seen: vectors by each encoder, (photos, D); text: the words of a
        hypothesis.
        """
        if not (settings.critic or settings.neighbours):
            return found
        bonuses = [np.zeros(len(own)) for own in found]
        if self.critic is not None and settings.critic:
            tokens = [[h.tokens for h in own] for own in found]
            cosines = self.critic.cosines(seen[self.encoder], tokens)
            bonuses = [b + settings.critic * c for b, c in zip(bonuses, cosines, strict=True)]
        if self.neighbours is not None and settings.neighbours:
            texts = [[text(h) for h in own] for own in found]
            shares = self.neighbours.consensus(seen[0], texts)
            bonuses = [b + settings.neighbours * s for b, s in zip(bonuses, shares, strict=True)]
        return in_order(found, bonuses)


def in_order(
    found: list[list[Hypothesis]], bonuses: Sequence[np.ndarray]
) -> list[list[Hypothesis]]:
    """The hypotheses of each photo by score + bonus, best first; equal ones in the beam's order."""
    return [
        [
            own[place]
            for place in np.argsort(
                [-h.score - bonus for h, bonus in zip(own, extra, strict=True)], kind="stable"
            )
        ]
        for own, extra in zip(found, bonuses, strict=True)
    ]
