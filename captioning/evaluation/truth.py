"""Whether captions say what is there: what they name against what the references name.

A measure that needs no download: objects, colours, numbers and actions by word lists
(`evaluation/concepts.py`), and other nouns that the references use as objects
(`evaluation/objects.py`). It compares words with words. It can't see whether a colour is bound to
the right thing, who does what to whom, or what no reference mentions though it is in the photo; a
caption that says little makes few mistakes, so precision and recall belong together.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from captioning.evaluation.bootstrap import RESAMPLES, draw_counts, interval_95
from captioning.evaluation.concepts import CLASS_OF, KINDS, bear_out, concepts_in

SAID, RIGHT, IN_ANY, RECALLED, IN_MOST, RECALLED_OF_MOST = range(6)

RATES = {
    "precision": (RIGHT, SAID),
    "recall of any": (RECALLED, IN_ANY),
    "recall of most": (RECALLED_OF_MOST, IN_MOST),
}
"""The share of what captions say that a reference says too; of what any reference says, and of
what most of a photo's references say, the share that its caption says too."""

AGREED = 2
"""So many references say what a caption is counted to have mistaken for something else."""


@dataclass(frozen=True)
class Truth:
    """What captions say of one kind against their references.

    counts: int (photos, 6), the columns as above; said, wrong: {concept: captions that say it, and
    those of them that no reference bears out}; expected, missed: {concept: photos whose references
    mostly say it, and those of them whose caption doesn't}; confused: {(said, in the references):
    captions}, of one class.
    """

    counts: np.ndarray
    said: Counter[str]
    wrong: Counter[str]
    expected: Counter[str]
    missed: Counter[str]
    confused: Counter[tuple[str, str]]

    def rates(self, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Any]:
        """The `RATES` in percent with 95% intervals by the bootstrap over photos."""
        drawn = draw_counts(len(self.counts), resamples, seed) @ self.counts  # (resamples, 6)
        total = self.counts.sum(axis=0)
        rates: dict[str, Any] = {"said": int(total[SAID])}
        for name, (part, whole) in RATES.items():
            if not total[whole]:
                continue
            # A resample of few photos may have nothing of a kind, and then no rate.
            some = drawn[drawn[:, whole] > 0]
            shares = 100 * some[:, part] / some[:, whole]  # (resamples,)
            rates[name] = {
                "value": round(float(100 * total[part] / total[whole]), 2),
                "interval": [round(v, 2) for v in interval_95(shares)]
                if len(some)
                else [0.0, 100.0],
            }
        return rates


def find_truth(
    captions: dict[str, str], references: dict[str, list[str]], objects: set[str]
) -> dict[str, Truth]:
    """Compare captions with references, all of them clean, kind by kind.

    objects: nouns that the lists may lack, as `object_words` gives them; each is its own concept.
    A kind that no caption and no reference names, as in another language, is left out.
    """
    kinds = words_of_kinds(objects)
    found = {kind: _compare(captions, references, kind, words) for kind, words in kinds.items()}
    return {kind: truth for kind, truth in found.items() if truth.counts.any()}


def words_of_kinds(objects: set[str]) -> dict[str, dict[str, str]]:
    """{kind: {word: concept}} of the lists, with nouns that they lack. objects: as `find_truth`."""
    known = {word for words in KINDS.values() for word in words}
    own = {word: _singular(word, objects) for word in objects - known}
    return {k: {**own, **words} if k == "objects" else dict(words) for k, words in KINDS.items()}


def mark_wrong_words(
    caption: str, references: list[str], kinds: dict[str, dict[str, str]]
) -> list[tuple[str, bool]]:
    """Each word of a clean caption, and whether no reference bears it out. kinds: as above."""
    false: dict[str, set[str]] = {}
    for kind, words in kinds.items():
        others = set().union(*(concepts_in(row, kind, words) for row in references))
        false[kind] = concepts_in(caption, kind, words) - bear_out(others)
    return [
        (word, any(words.get(word) in false[kind] for kind, words in kinds.items()))
        for word in caption.split()
    ]


def _compare(
    captions: dict[str, str], references: dict[str, list[str]], kind: str, words: dict[str, str]
) -> Truth:
    rows = []
    said, wrong, expected, missed = (Counter[str]() for _ in range(4))
    confused: Counter[tuple[str, str]] = Counter()
    for name, caption in captions.items():
        own = concepts_in(caption, kind, words)
        others = [concepts_in(row, kind, words) for row in references[name]]
        counts = Counter(concept for other in others for concept in other)
        false = own - bear_out(counts)
        recalled = set(counts) & bear_out(own)
        most = {concept for concept, count in counts.items() if count > len(others) / 2}
        said.update(own)
        wrong.update(false)
        expected.update(most)
        missed.update(most - recalled)
        agreed = {c for c, count in counts.items() if count >= min(AGREED, len(others))} - recalled
        confused.update(
            (mine, theirs)
            for mine in false
            for theirs in agreed
            if CLASS_OF.get(mine, kind) == CLASS_OF.get(theirs, kind)
        )
        right = len(own) - len(false)
        rows.append([len(own), right, len(counts), len(recalled), len(most), len(most & recalled)])
    return Truth(np.array(rows), said, wrong, expected, missed, confused)


def _singular(word: str, objects: set[str]) -> str:
    """The singular, if that is an object as well: "dress" has no singular "dr" or "dres"."""
    for ending in ("es", "s"):  # the longer first: "buses" are "bus", not "buse"
        if word.endswith(ending) and word.removesuffix(ending) in objects:
            return word.removesuffix(ending)
    return word


def by_count(counts: Counter[Any]) -> list[tuple[Any, int]]:
    """Most frequent first, then by the alphabet, so that the report is the same each time."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
