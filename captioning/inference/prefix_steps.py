"""Decoders of other projects, run word by word: they read the caption so far as a whole.

Their networks want a photo's vector and a row of numbers, the caption so far, padded to a fixed
length, and give the probabilities of the next word. Nothing of a step is kept for the next one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from captioning.data.keras_tokenizer import KerasTokenizer
from captioning.data.text import END, MARKERS
from captioning.errors import CaptioningError

PADDINGS = ("pre", "post")
"""Where a row of numbers is filled up: before the caption, as Keras does by itself, or after it."""

SMALLEST = np.finfo(np.float32).tiny
"""The least probability: the logarithm of 0 would make a hypothesis' total infinite."""


@dataclass(frozen=True)
class WordNumbers:
    """How a network of another project numbers the words of a tokenizer of ours.

    size: how many numbers its output has; numbers: of each word there; start: what it is given
    before the first word; ends: numbers that end a caption: the end marker's, the padding's, and
    those of no word; unknown: what it is given for an unknown word; fed: {word: what it is given}
    of the words for which that is not their number; padding: as in `PADDINGS`.
    """

    size: int
    numbers: tuple[int, ...]
    start: tuple[int, ...]
    ends: tuple[int, ...]
    unknown: tuple[int, ...] = ()
    fed: Mapping[int, tuple[int, ...]] | None = None
    padding: str = "pre"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        fed = {str(word): list(given) for word, given in (self.fed or {}).items()}
        lists = {key: list(getattr(self, key)) for key in ("numbers", "start", "ends", "unknown")}
        return {"size": self.size, **lists, "fed": fed, "padding": self.padding}

    @classmethod
    def from_dict(cls, value: Any, words: int) -> "WordNumbers":
        """The same of plain values; ValueError for values of other kinds, or of other words."""
        size, padding, fed = value["size"], value["padding"], value["fed"]
        lists = {
            key: _whole_numbers(value[key], size) for key in ("numbers", "start", "ends", "unknown")
        }
        if len(lists["numbers"]) != words or padding not in PADDINGS or not lists["ends"]:
            raise ValueError(f"numbers of {words:,} words and a padding were expected")
        given = {int(word): _whole_numbers(numbers, size) for word, numbers in fed.items()}
        return cls(size, **lists, fed=given, padding=padding)

    def given(self) -> list[tuple[int, ...]]:
        """What the network is given of each token of ours."""
        fed = self.fed or {}
        words = [fed.get(place, (number,)) for place, number in enumerate(self.numbers)]
        return [(), self.start, (), self.unknown, *words]  # in the order of `MARKERS`


def _whole_numbers(value: Any, size: Any) -> tuple[int, ...]:
    if type(size) is not int or not isinstance(value, list):
        raise ValueError("a list of numbers was expected")
    if not all(type(number) is int and 0 <= number < size for number in value):
        raise ValueError(f"numbers from 0 to {size:,} were expected")
    return tuple(value)


def number_words(
    tokenizer: KerasTokenizer, size: int, padding: str = "pre"
) -> tuple[list[str], WordNumbers]:
    """The words that a network of `size` outputs can say, and how it numbers them.

    What the old loop does: it begins with the start marker, turns all words so far into numbers
    again at each step, and ends at the end marker or at a number that stands for no word. A start
    marker within a caption is said as a word.
    """
    start, end = tokenizer.markers or ("startseq", "")
    known = {number: word for word, number in tokenizer.word_index.items() if number < size}
    numbers = sorted(number for number, word in known.items() if word != end)
    ends = sorted(set(range(size)) - set(numbers))
    given = [tuple(n for n in tokenizer.encode(known[number]) if n < size) for number in numbers]
    fed = {
        place: numbers_given
        for place, (number, numbers_given) in enumerate(zip(numbers, given, strict=True))
        if numbers_given != (number,)
    }
    unknown = tokenizer.encode(tokenizer.oov_token or "")
    return _shown([known[number] for number in numbers]), WordNumbers(
        size,
        tuple(numbers),
        tuple(n for n in tokenizer.encode(start) if n < size),
        tuple(ends),
        tuple(n for n in unknown if n < size),
        fed,
        padding,
    )


def _shown(words: list[str]) -> list[str]:
    """The words as they can be shown: no spaces in them, nothing that steers a terminal."""
    shown: dict[str, None] = {}
    for word in words:
        safe = "".join(c if c.isprintable() and not c.isspace() else "\ufffd" for c in word)
        while not safe or safe in shown:
            safe += "\ufffd"
        shown[safe] = None
    return list(shown)


class PrefixSteps:
    """The steps of a network of another project; `ModelSteps`.

    model: the network; numbers: of its words; length: of its rows of numbers; probabilities:
    whether it gives these, or logits. Raises `CaptioningError` when the numbers aren't of it.
    """

    reads_grids = False
    attention: np.ndarray | None = None

    def __init__(self, model: Any, numbers: WordNumbers, length: int, probabilities: bool) -> None:
        self._model, self._length, self._numbers = model, length, numbers
        self._probabilities = probabilities
        self._given = numbers.given()
        self._words_first = words_place(model) == 0
        self._words = np.array(numbers.numbers, int)
        self._ends = np.array(numbers.ends, int)

    def begin(self, vectors: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """The vectors, float32 (P, D), and as the state the tokens so far, none: (P, 1, 0)."""
        return vectors, [np.zeros((len(vectors), 1, 0), np.int32)]

    def step(
        self, words: np.ndarray, photo: np.ndarray, state: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Log-probabilities (P, K, vocabulary) of the word after `words`, int (P, K); new state."""
        tokens = np.concatenate([state[0], words[..., None]], axis=-1)  # (P, K, words so far)
        photos, hypotheses, _ = tokens.shape
        rows, lengths = self._rows(tokens.reshape(photos * hypotheses, -1))
        inputs = [np.repeat(photo, hypotheses, axis=0), rows]
        found = np.asarray(
            self._model.predict_on_batch(inputs[::-1] if self._words_first else inputs), np.float32
        )
        if found.ndim == 3:  # (P * K, length, numbers): a next word after each
            found = found[np.arange(len(found)), lengths - 1]
        log_probabilities = self._of_tokens(self._logarithm(found))
        return log_probabilities.reshape(photos, hypotheses, -1), [tokens]

    def _rows(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The padded rows of numbers, (rows, length), and where the last word's place ends."""
        rows = np.zeros((len(tokens), self._length), np.int32)
        lengths = np.full(len(tokens), self._length)
        for place, row in enumerate(tokens.tolist()):
            numbers = [n for token in row for n in self._given[token]][-self._length :]
            if self._numbers.padding == "post":
                rows[place, : len(numbers)] = numbers
                lengths[place] = max(1, len(numbers))
            elif numbers:
                rows[place, -len(numbers) :] = numbers
        return rows, lengths

    def _logarithm(self, found: np.ndarray) -> np.ndarray:
        if self._probabilities:
            return np.log(np.maximum(found, SMALLEST))
        shifted = found - found.max(axis=-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))

    def _of_tokens(self, found: np.ndarray) -> np.ndarray:
        """Log-probabilities (rows, numbers) -> (rows, our tokens).

        The end is as likely as the likeliest number that ends a caption, not as all together: so
        it is chosen where the old loop ended.
        """
        tokens = np.full((len(found), len(MARKERS) + len(self._words)), -np.inf, np.float32)
        tokens[:, END] = found[:, self._ends].max(axis=-1)
        tokens[:, len(MARKERS) :] = found[:, self._words]
        return tokens

    def keep(self, photo: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """What stays the same of some of the photos, at the places `rows`."""
        return photo[rows]


def words_place(model: Any) -> int:
    """Which of the two inputs is the row of numbers: the shorter one.

    Raises `CaptioningError` when they aren't a vector and a row.
    """
    shapes = [tuple(one.shape[1:]) for one in model.inputs]
    sides = [shape[0] or 0 for shape in shapes if len(shape) == 1]  # a row may have any length
    if len(shapes) != 2 or len(sides) != 2 or sides[0] == sides[1]:
        raise CaptioningError(
            f"the network has the inputs {shapes}; a photo's vector (2048,) and a row of word "
            "numbers (32,) were expected"
        )
    return 0 if sides[0] < sides[1] else 1
