"""Captions as clean text and as tokens: the cleaning rules, and the tokenizer that fits them."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from captioning.errors import CaptioningError, command_line

PADDING, START, END, UNKNOWN = 0, 1, 2, 3
"""Reserved tokens. They are never words: "end" is a word of 44 captions of Flickr8k."""

MARKERS = ("<padding>", "<start>", "<end>", "<unk>")
"""How the reserved tokens are shown to people; cleaning drops the brackets, so no word is one."""

CLEANING = {
    "version": 2,
    "lower": True,
    "normalise": "NFC",
    "split": "dashes, slashes, marks of wide scripts",
    "drop": "punctuation, symbols, format and control characters",
    "cut": "scripts without spaces, by character",
}
"""The rules of `clean_caption` as values, kept in a model's folder and checked on loading."""

FIRST_CLEANING = {"lower": True, "split": "-/", "drop": "punctuation and symbols"}
"""The rules of models up to version 1.1.0: of ASCII text they make the same words."""

CLEANINGS = (FIRST_CLEANING, CLEANING)
"""All rules that `clean_caption` knows, oldest first."""


_BETWEEN_WORDS = "/\u0f0b\u0f0c\u0f0d"
"""A slash, and Tibetan's marks between syllables and sentences, its spaces."""

_UNSEEN = ((0x034F, 0x034F), (0x180B, 0x180D), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
"""Marks that nobody sees: the joiner of graphemes, and how to draw the character before."""


class _Translation(dict[int, str | None]):
    """What each character becomes, for `str.translate`: a space, nothing (None), or itself."""

    def __missing__(self, code: int) -> str | None:
        became = self[code] = _became(code)
        return became


def _became(code: int) -> str | None:
    """A character after cleaning; a space where words end, None where it is dropped."""
    letter = chr(code)
    category = unicodedata.category(letter)
    if letter.isspace() or category == "Pd" or letter in _BETWEEN_WORDS:
        return " "
    # Chinese and Japanese write no space after a comma.
    if category[0] in "PS":
        return " " if unicodedata.east_asian_width(letter) in "WF" else None
    if category in ("Cc", "Cf", "Cs") or any(low <= code <= high for low, high in _UNSEEN):
        return None
    return letter


def _first_translation() -> dict[int, str | None]:
    table: dict[int, str | None] = dict.fromkeys(map(ord, "-/"), " ")
    for code in range(0x3000):  # Latin, Greek, Cyrillic, Arabic, Indic, general punctuation
        if code not in table and unicodedata.category(chr(code))[0] in "PS":
            table[code] = None
    return table


_SCRIPTS_WITHOUT_SPACES = {
    "Thai, Lao": "\u0e00-\u0eff",
    "Myanmar": "\u1000-\u109f",
    "Khmer": "\u1780-\u17ff",
    "kana": "\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9d",
    "Chinese characters": "\u3005\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
}


def _marks() -> str:
    """The marks of these scripts, above, below or beside the character that they follow."""
    ranges = [(0x0E00, 0x0F00), (0x1000, 0x10A0), (0x1780, 0x1800), (0x3099, 0x309B)]
    codes = (code for low, high in ranges for code in range(low, high))
    marks = "".join(chr(code) for code in codes if unicodedata.category(chr(code))[0] == "M")
    return marks + "\uff9e\uff9f"  # the voicing marks of half-width kana


# A character with its marks; in Khmer and Myanmar a sign puts the next consonant below it.
_CHARACTER = re.compile(
    "([{scripts}](?:[\u17d2\u1039].|[{marks}])*)".format(
        scripts="".join(_SCRIPTS_WITHOUT_SPACES.values()), marks=_marks()
    )
)

_TRANSLATION = _Translation()

_FIRST_TRANSLATION = _first_translation()


def clean_caption(caption: str, cleaning: Mapping[str, Any] = CLEANING) -> str:
    """Lower-case words without punctuation, one space between; dashes and slashes split words.

    Short words and digits stay: "a" alone is one word in eight of Flickr8k's captions. Letters
    that can be written in two ways are one (Unicode's NFC), invisible characters are dropped, and
    scripts without spaces are cut by character: 一只狗 becomes 一 只 狗. cleaning: one of
    `CLEANINGS`; models keep the rules that they were trained with.
    """
    if cleaning == FIRST_CLEANING:
        return " ".join(caption.lower().translate(_FIRST_TRANSLATION).split())
    if caption.isascii():
        return " ".join(caption.lower().translate(_TRANSLATION).split())
    letters = unicodedata.normalize("NFC", caption).lower().translate(_TRANSLATION)
    # Again: what stood between a letter and its accent is gone now.
    cut = _CHARACTER.sub(r" \1 ", unicodedata.normalize("NFC", letters))
    return " ".join(cut.split())


def is_cut(caption: str) -> bool:
    """Whether a clean caption has characters of scripts without spaces, each a word of its own."""
    return not caption.isascii() and _CHARACTER.search(caption) is not None


@dataclass(frozen=True)
class Tokenizer:
    """Words <-> tokens. `words[i]` is the token `i + len(MARKERS)`; all others are `<unk>`.

    cleaning: by which rules captions become these words, one of `CLEANINGS`.
    """

    words: tuple[str, ...]
    cleaning: Mapping[str, Any] = field(default_factory=lambda: CLEANING, hash=False)
    _numbers: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        numbers = {word: i for i, word in enumerate(self.words, len(MARKERS))}
        if len(numbers) != len(self.words):
            raise CaptioningError("the vocabulary holds the same word twice")
        object.__setattr__(self, "_numbers", numbers)  # the class is frozen, once it is made

    @classmethod
    def fit(
        cls,
        captions: Iterable[str],
        min_count: int = 5,
        cleaning: Mapping[str, Any] = CLEANING,
    ) -> "Tokenizer":
        """A vocabulary of the words that occur at least `min_count` times, frequent ones first.

        captions: clean ones, by the rules `cleaning`.

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
        return cls(tuple(kept), cleaning)

    @classmethod
    def from_map(
        cls, numbers: dict[str, int], cleaning: Mapping[str, Any] = CLEANING
    ) -> "Tokenizer":
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
        return cls(tuple(ordered), cleaning)

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
