"""What a beam search kept for one photo, as a tree: each path from the root is a hypothesis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from captioning.data.text import END
from captioning.inference.search import Hypothesis


@dataclass(eq=False)
class Branch:
    """A word after the words above it, and the branches that the beam kept below it.

    token: of the word, `END` where a caption is finished; probability: of the word, given those
    above it; rank: a finished caption's place, 1 is the best; 0 for all other branches; children:
    the likeliest first.
    """

    token: int
    probability: float = 1.0
    rank: int = 0
    children: list["Branch"] = field(default_factory=list)

    def is_given_up(self) -> bool:
        """Whether the beam went on elsewhere: no caption ends here, and no word follows."""
        return not self.rank and not self.children


class BeamRecord:
    """Keeps what a search shows of one photo's beam; to be given to it as `watch`."""

    def __init__(self) -> None:
        self._totals: dict[tuple[int, ...], float] = {(): 0.0}
        self._kept: list[tuple[int, ...]] = []  # of every step, best first

    def watch(self, tokens: np.ndarray, totals: np.ndarray) -> None:
        """Keep a step; tokens: (1, K, words so far), totals: (1, K)."""
        for row, total in zip(tokens[0].tolist(), totals[0].tolist(), strict=True):
            if math.isfinite(total):
                self._totals[tuple(row)] = total
                self._kept.append(tuple(row))

    def tree(self, root: int, found: Sequence[Hypothesis], width: int) -> Branch:
        """The tree below `root` (a token) of the finished captions and of what was given up.

        found: the finished hypotheses, best first; width: so many of them, and so many
        hypotheses of each step, are in the tree.
        """
        of_step: dict[int, int] = {}
        tree = Branch(root)
        branches: dict[tuple[int, ...], Branch] = {(): tree}
        for tokens in self._kept:
            of_step[len(tokens)] = of_step.get(len(tokens), 0) + 1
            if of_step[len(tokens)] <= width:
                self._grow(branches, tokens)
        for place, hypothesis in enumerate(found[:width], 1):
            above = self._grow(branches, hypothesis.tokens)
            total = self._totals.get(hypothesis.tokens, hypothesis.log_probability)
            end = math.exp(hypothesis.log_probability - total)
            above.children.append(Branch(END, end, place))
        for branch in branches.values():
            branch.children.sort(key=lambda child: -child.probability)
        return tree

    def _grow(self, branches: dict[tuple[int, ...], Branch], tokens: tuple[int, ...]) -> Branch:
        """The branch of these tokens, made with all above it where it isn't there yet."""
        if tokens not in branches:
            above = self._grow(branches, tokens[:-1])
            before, now = self._totals.get(tokens[:-1]), self._totals.get(tokens)
            share = 1.0 if before is None or now is None else math.exp(now - before)
            branches[tokens] = Branch(tokens[-1], share)
            above.children.append(branches[tokens])
        return branches[tokens]
