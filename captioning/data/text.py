"""Captions as clean text and as tokens: the cleaning rules, and the tokenizer that fits them."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from captioning.errors import CaptioningError, command_line

PADDING, START, END, UNKNOWN = 0, 1, 2, 3
"""Reserved tokens. They are never words: "end" is a word of 44 captions of Flickr8k."""

MARKERS = ("<padding>", "<start>", "<end>", "<unk>")
"""How the reserved tokens are shown to people; cleaning drops the brackets, so no word is one."""

_SPLIT_AT = "-/"

CLEANING = {"lower": True, "split": _SPLIT_AT, "drop": "punctuation and symbols"}
"""The rules of `clean_caption` as values, kept in a model's folder and checked on loading."""


def _translation() -> dict[int, str | None]:
    """What each character becomes, for `str.translate`: a space, nothing (None), or itself."""
    table: dict[int, str | None] = dict.fromkeys(map(ord, _SPLIT_AT), " ")
    for code in range(0x3000):  # Latin, Greek, Cyrillic, Arabic, Indic, general punctuation
        if code not in table and unicodedata.category(chr(code))[0] in "PS":
            table[code] = None
    return table


_TRANSLATION = _translation()


def clean_caption(caption: str) -> str:
    """Lower-case words without punctuation, one space between; hyphens and slashes split words.

    Short words and digits stay: "a" alone is one word in eight of Flickr8k's captions.
    """
    return " ".join(caption.lower().translate(_TRANSLATION).split())


@dataclass(frozen=True)
class Tokenizer:
    """Words <-> tokens. `words[i]` is the token `i + len(MARKERS)`; all others are `<unk>`."""

    words: tuple[str, ...]
    _numbers: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        numbers = {word: i for i, word in enumerate(self.words, len(MARKERS))}
        if len(numbers) != len(self.words):
            raise CaptioningError("the vocabulary holds the same word twice")
        object.__setattr__(self, "_numbers", numbers)  # the class is frozen, once it is made

    @classmethod
    def fit(cls, captions: Iterable[str], min_count: int = 5) -> "Tokenizer":
        """A vocabulary of the words that occur at least `min_count` times, frequent ones first.

        captions: clean ones.

        Raises `CaptioningError` when no word is that frequent.
        """
        counts = Counter(word for caption in captions for word in caption.split())
        kept = [word for word, count in counts.items() if count >= min_count]
        # Words of the same count in alphabetical order: the same captions give the same tokens.
        kept.sort(key=lambda word: (-counts[word], word))
        if not kept:
            raise CaptioningError(
                f"no word occurs {min_count} times in the training captions "
                f"({len(counts)} different words in all); lower --min-count"
            )
        return cls(tuple(kept))

    @classmethod
    def from_map(cls, numbers: dict[str, int]) -> "Tokenizer":
        """The tokenizer of a `{word: token}` map, as `tokenizer.p` holds it.

        Raises `CaptioningError` when its tokens don't follow the markers without a gap.
        """
        ordered = sorted(numbers, key=numbers.__getitem__)
        if [numbers[word] for word in ordered] != list(
            range(len(MARKERS), len(MARKERS) + len(ordered))
        ):
            raise CaptioningError(
                f"the word numbers must run from {len(MARKERS)} without a gap: "
                "is this tokenizer.p from another project? "
                f"Write it with: {command_line('features')}"
            )
        return cls(tuple(ordered))

    @property
    def numbers(self) -> dict[str, int]:
        """A copy of the map from words to tokens, built-in types only."""
        return dict(self._numbers)

    @cached_property
    def _shown(self) -> tuple[str, ...]:
        return MARKERS + self.words

    @property
    def size(self) -> int:
        """How many tokens there are: the words and the four markers."""
        return len(MARKERS) + len(self.words)

    def encode(self, caption: str) -> list[int]:
        """The tokens of a clean caption's words, without markers; rare words become `<unk>`."""
        return [self._numbers.get(word, UNKNOWN) for word in caption.split()]

    def decode(self, tokens: Sequence[int] | np.ndarray) -> str:
        """The caption of a row of tokens, up to the end marker; padding and start are skipped."""
        words = []
        for token in map(int, tokens):
            if token == END:
                break
            if token not in (PADDING, START):
                words.append(self._shown[token])
        return " ".join(words)

    def shown(self, token: int) -> str:
        """What a token stands for, markers included, to be shown to people."""
        return self._shown[int(token)]
