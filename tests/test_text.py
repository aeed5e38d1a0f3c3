"""Cleaning and the tokenizer."""

import pytest

from captioning.data.text import END, MARKERS, UNKNOWN, Tokenizer, clean_caption
from captioning.errors import CaptioningError


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("A black dog and a tri-colored dog .", "a black dog and a tri colored dog"),
        ("Two men's T-shirts, 3 hats!", "two mens t shirts 3 hats"),
        ("  I  see\ta “dog”… ", "i see a dog"),
        ("Ein Mädchen läuft über die Straße.", "ein mädchen läuft über die straße"),
        ("...", ""),
        ("<start> the end <end>", "start the end end"),
    ],
)
def test_cleaning_keeps_words_and_drops_punctuation(raw: str, clean: str) -> None:
    assert clean_caption(raw) == clean
    assert clean_caption(clean) == clean


def test_tokenizer_numbers_frequent_words_first_and_the_rest_unknown() -> None:
    tokenizer = Tokenizer.fit(["a dog", "a cat", "a dog runs", "the end of a dog"], min_count=2)
    assert tokenizer.words == ("a", "dog")
    assert tokenizer.encode("a cat and a dog") == [4, UNKNOWN, UNKNOWN, 4, 5]
    assert tokenizer.decode([1, 4, 5, END, 4]) == "a dog"
    assert Tokenizer.from_map(tokenizer.numbers) == tokenizer


def test_the_word_end_is_a_word_not_the_marker() -> None:
    tokenizer = Tokenizer.fit(["the end of the start"], min_count=1)
    tokens = tokenizer.encode("the end of the start")
    assert END not in tokens
    assert tokenizer.decode(tokens) == "the end of the start"
    assert not set(MARKERS) & set(tokenizer.words)


def test_no_frequent_word_and_foreign_maps_are_refused() -> None:
    with pytest.raises(CaptioningError, match="min-count"):
        Tokenizer.fit(["a b c"], min_count=2)
    with pytest.raises(CaptioningError, match="another project"):
        Tokenizer.from_map({"end": 1, "start": 2})
