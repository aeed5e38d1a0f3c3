"""One comparison: two ways to do the same work that take turns, and what came out."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from captioning.files.onnx_session import processors


@dataclass(frozen=True)
class Rate:
    """How many per second: of wall time, and of CPU time, threads and children included."""

    wall: float
    processor: float


@dataclass
class Comparison:
    """One row: what was measured, the classic way's figure and ours, and their ratio.

    by_processor: the ratio by CPU time, which other programs disturb less. unit: whether more is
    better ("photos/s") or less ("s"). target: what the ratio should at least be, or with
    `at_most` not exceed. limit: ours if the machine did nothing but multiply; share: how much of
    that limit was reached. checks: what shows that both did the same work, {what: value}.
    """

    name: str
    unit: str
    classic: float
    ours: float
    ratio: float
    by_processor: float
    target: float
    at_most: bool = False
    limit: float | None = None
    share: float | None = None
    checks: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def faster(
        cls,
        name: str,
        unit: str,
        rates: tuple[Rate, Rate],
        target: float,
        limit: float | None = None,
        checks: dict[str, Any] | None = None,
    ) -> "Comparison":
        """How many times faster ours is. rates: the classic way's and ours; target: at least."""
        classic, ours = rates
        return cls(
            name,
            unit,
            classic.wall,
            ours.wall,
            ours.wall / classic.wall,
            ours.processor / classic.processor,
            target,
            limit=limit,
            # By CPU time, on all cores: what the machine does besides takes nothing away.
            share=None if limit is None else processors() * ours.processor / limit,
            checks=checks or {},
        )

    @classmethod
    def slower(cls, name: str, unit: str, rates: tuple[Rate, Rate], target: float) -> "Comparison":
        """How many times slower ours is, which does more. target: at most."""
        classic, ours = rates
        figures = [1 / rate.wall if unit == "s" else rate.wall for rate in rates]
        return cls(
            name,
            unit,
            *figures,
            classic.wall / ours.wall,
            classic.processor / ours.processor,
            target,
            at_most=True,
        )

    @property
    def reached(self) -> bool:
        """Whether the target is reached."""
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target

    @property
    def highest(self) -> float | None:
        """The ratio at the machine's limit."""
        return None if self.limit is None else self.limit / self.classic


Work = Callable[[], int | tuple[int, float]]
"""Does some work once: how many things it did, and, if another process did them, how many
seconds of CPU time that process took.
"""


def alternate(classic: Work, ours: Work, rounds: int) -> tuple[Rate, Rate]:
    """The rates of two ways, each the median of the rounds.

    They take turns, so that whatever else the machine does slows both alike.
    """
    measured: list[list[tuple[float, float]]] = [[], []]
    for _ in range(rounds):
        for work, rates in zip((classic, ours), measured, strict=True):
            began, used = time.perf_counter(), _processor_seconds()
            done = work()
            done, elsewhere = done if isinstance(done, tuple) else (done, 0.0)
            used = _processor_seconds() - used + elsewhere
            # Very short work may take no measurable CPU time.
            rates.append((done / (time.perf_counter() - began), done / max(used, 0.01)))
    one, other = (Rate(*map(float, np.median(rates, axis=0))) for rates in measured)
    return one, other


def _processor_seconds() -> float:
    """CPU time of this process, its threads and its children that have ended."""
    return sum(os.times()[:4])
