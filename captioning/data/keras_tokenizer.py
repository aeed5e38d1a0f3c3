"""Tokenizers of other projects: Keras' own `Tokenizer`, pickled or as JSON, and maps of words.

Keras' class is gone from Keras 3, and so is its module; it is read here without either.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import index as whole
from pathlib import Path
from typing import Any

from captioning.errors import CaptioningError
from captioning.files.pickles import read_pickle
from captioning.files.stand_ins import PickledTokenizer
from captioning.files.text import read_json

DEFAULT_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'

MARKERS = (
    ("startseq", "endseq"),
    ("<start>", "<end>"),
    ("start", "end"),
    ("<sos>", "<eos>"),
    ("<bos>", "<eos>"),
    ("sos", "eos"),
    ("bos", "eos"),
    ("<s>", "</s>"),
    ("seqstart", "seqend"),
    ("startofseq", "endofseq"),
    ("startsequence", "endsequence"),
    ("beginsequence", "endsequence"),
    ("sostok", "eostok"),
    ("ssss", "eeee"),
    ("<startseq>", "<endseq>"),
    ("[start]", "[end]"),
)
"""What other projects put before and after each caption; those that no caption holds come first."""

MARKED = 0.5
"""Of the captions that a tokenizer was fitted on, at least this share holds both markers."""

_REMEDY = (
    "save it as JSON where it was made: open('tokenizer.json', 'w').write(tokenizer.to_json())"
)


@dataclass(frozen=True)
class KerasTokenizer:
    """What `keras.preprocessing.text.Tokenizer` knew.

    word_index: {word: number}; num_words: with a number, only numbers below it are used;
    oov_token: the word that stands for unknown ones, or None; filters: characters that are
    dropped; split: what is between words; lower: whether capitals count; counts: {word: how
    often}; captions: how many it was fitted on, 0 if unknown.
    """

    word_index: dict[str, int]
    num_words: int | None = None
    oov_token: str | None = None
    filters: str = DEFAULT_FILTERS
    split: str = " "
    lower: bool = True
    counts: dict[str, int] = field(default_factory=dict)
    captions: int = 0

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's words, as Keras' `texts_to_sequences` gives them.

        A word that is unknown, or whose number is too large, becomes that of `oov_token`, or is
        left out where there is none.
        """
        text = text.lower() if self.lower else text
        text = text.translate(dict.fromkeys(map(ord, self.filters), self.split))
        found = [self.word_index.get(word) for word in text.split(self.split) if word]
        unknown = self.word_index.get(self.oov_token) if self.oov_token is not None else None
        numbers = [unknown if n is None or self._is_cut(n) else n for n in found]
        return [n for n in numbers if n is not None]

    def _is_cut(self, number: int) -> bool:
        return bool(self.num_words) and number >= (self.num_words or 0)  # Keras takes 0 for all

    @property
    def markers(self) -> tuple[str, str] | None:
        """The words before and after each caption; None where it was fitted on bare captions."""
        for pair in MARKERS:
            if all(word in self.word_index for word in pair) and self._is_in_most(pair):
                return pair
        return None

    def _is_in_most(self, pair: tuple[str, str]) -> bool:
        # "start" and "end" are words of captions, too: a few among thousands.
        if not self.captions or not all(word in self.counts for word in pair):
            return True
        return min(self.counts[word] for word in pair) >= MARKED * self.captions

    @property
    def vocabulary(self) -> list[str]:
        """The words by their numbers: without markers, and without those that are cut off."""
        left_out = {*(self.markers or ()), self.oov_token}
        kept = {w: n for w, n in self.word_index.items() if w not in left_out}
        return sorted((w for w, n in kept.items() if not self._is_cut(n)), key=kept.__getitem__)


def read_keras_tokenizer(path: Path) -> KerasTokenizer:
    """The tokenizer of another project: a pickled one, one as JSON, or a map {word: number}.

    Raises `CaptioningError` when the file is missing, damaged or holds anything else.
    """
    path = Path(path)
    if _is_json(path):
        return _of_json(path, read_json(path, "the tokenizer"))
    return tokenizer_of(path, read_pickle(path, "the tokenizer", _REMEDY))


def tokenizer_of(path: Path, value: Any) -> KerasTokenizer:
    """The tokenizer that a pickle held; path: of the file, for messages."""
    if isinstance(value, PickledTokenizer):
        return _of_attributes(path, value.state)
    if isinstance(value, list | tuple):  # pickle.dump((tokenizer, max_length), file)
        tokenizers = [each for each in value if isinstance(each, PickledTokenizer)]
        if len(tokenizers) == 1:
            return _of_attributes(path, tokenizers[0].state)
    return _of_attributes(path, {"word_index": _by_word(value)})


def _by_word(value: Any) -> Any:
    """The map {word: number}, also of one that is kept the other way round."""
    if (
        isinstance(value, dict)
        and all(map(_is_whole, value))
        and all(map(_is_text, value.values()))
    ):
        turned = {word: number for number, word in value.items()}
        return turned if len(turned) == len(value) else value
    return value


def _is_json(path: Path) -> bool:
    """Whether the file begins as JSON does: no pickle of a tokenizer or a map begins so."""
    try:
        with path.open("rb") as file:
            start = file.read(16).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    except OSError:
        return False  # reading it as a pickle says what is wrong
    return start in (b"{", b'"')


def _of_json(path: Path, value: Any) -> KerasTokenizer:
    """The tokenizer of `Tokenizer.to_json()`, perhaps written as JSON once more, or of a map."""
    if isinstance(value, str):  # json.dump(tokenizer.to_json(), file)
        value = _inner(path, value)
    if isinstance(value, dict) and isinstance(value.get("config"), dict):
        value = value["config"]
        # Maps in it are texts of JSON.
        return _of_attributes(
            path, {k: _inner(path, v) if k in _MAPS else v for k, v in value.items()}
        )
    return _of_attributes(path, {"word_index": value})


_MAPS = ("word_index", "word_counts")


def _inner(path: Path, value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:
        raise CaptioningError(f"the tokenizer {path} is damaged: {error}") from None


def _of_attributes(path: Path, attributes: dict[str, Any]) -> KerasTokenizer:
    """The tokenizer of these attributes; raises `CaptioningError` for values of wrong kinds."""

    def get(key: str, default: Any, is_valid: Callable[[Any], bool]) -> Any:
        value = attributes.get(key)
        if value is None:
            return default
        if not is_valid(value):
            raise CaptioningError(
                f"the tokenizer {path} is no tokenizer: its {key} is {value!r:.60}"
            )
        return value

    if attributes.get("char_level"):
        raise CaptioningError(f"the tokenizer {path} cuts captions into characters, not words")
    numbers = _numbers(path, attributes.get("word_index"))
    num_words = get("num_words", None, _is_whole)
    return KerasTokenizer(
        numbers,
        None if num_words is None else int(num_words),
        get("oov_token", None, _is_text),
        get("filters", "" if "filters" in attributes else DEFAULT_FILTERS, _is_text),
        get("split", " ", lambda value: _is_text(value) and value != ""),
        bool(attributes.get("lower", True)),
        _counts(attributes.get("word_counts")),
        max(0, int(get("document_count", 0, _is_whole))),
    )


def _numbers(path: Path, value: Any) -> dict[str, int]:
    """The map {word: number}, checked: numbers from 0, each once."""
    if not isinstance(value, dict) or not value:
        raise CaptioningError(
            f"{path} holds no tokenizer: a pickled Tokenizer of Keras, its to_json(), or a map of "
            f"words to numbers was expected, not {type(value).__name__}"
        )
    for word, number in value.items():
        if not _is_text(word) or not _is_whole(number) or not 0 <= number < 1 << 31:
            raise CaptioningError(
                f"the tokenizer {path} maps {word!r:.40} to {number!r:.40}, which is no number"
            )
    numbers = {word: int(number) for word, number in value.items()}
    if len(set(numbers.values())) < len(numbers):
        raise CaptioningError(f"the tokenizer {path} gives the same number to several words")
    return numbers


def _counts(value: Any) -> dict[str, int]:
    """How often each word occurred, as far as it is told."""
    if not isinstance(value, dict):
        return {}
    return {w: int(n) for w, n in value.items() if _is_text(w) and _is_whole(n)}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    """Whether it's a whole number, of Python or numpy, as 5000 or 5000.0."""
    if isinstance(value, bool):
        return False
    try:
        whole(value)
    except TypeError:
        return isinstance(value, float) and value.is_integer()
    return True
