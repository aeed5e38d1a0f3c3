"""Cleaning and the tokenizer."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captioning.data.captions import read_captions
from captioning.data.text import (
    CLEANING,
    END,
    FIRST_CLEANING,
    MARKERS,
    UNKNOWN,
    Tokenizer,
    clean_caption,
)
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


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("一只狗在雪地里跑。", "一 只 狗 在 雪 地 里 跑"),
        ("两个孩子，很开心！3只dog", "两 个 孩 子 很 开 心 3 只 dog"),
        ("犬が走っている", "犬 が 走 っ て い る"),
        ("สุนัขวิ่ง", "สุ นั ข วิ่ ง"),
        ("ខ្មែរ", "ខ្មែ រ"),
        ("བོད་ཡིག།", "བོད ཡིག"),
        ("한국어 개", "한국어 개"),
        ("हिन्दी में कुत्ता।", "हिन्दी में कुत्ता"),
        ("كلب يجري، وقطة.", "كلب يجري وقطة"),
        ("a dog\u200b run\u00ads \ufeffhere \U0001f600 ❤\ufe0f", "a dog runs here"),
        ("e\u200b\u0301t\u0301e\0", "ét́e"),
        ("a black—white dog", "a black white dog"),
        ("a \ud800dog", "a dog"),
    ],
)
def test_cleaning_knows_all_scripts(raw: str, clean: str) -> None:
    assert clean_caption(raw) == clean
    assert clean_caption(clean) == clean


def test_two_spellings_of_a_word_are_one() -> None:
    words = "một con chó đang chạy café"
    assert clean_caption(unicodedata.normalize("NFD", words)) == clean_caption(words) == words


@given(st.text())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_what_is_clean_stays_as_it_is(raw: str) -> None:
    clean = clean_caption(raw)
    assert clean_caption(clean) == clean
    assert unicodedata.is_normalized("NFC", clean)
    assert clean.isprintable() or not {unicodedata.category(c) for c in clean} & {"Cc", "Cf", "Cs"}


def test_older_models_clean_as_they_did() -> None:
    assert clean_caption("一只狗。 A tri-colored dog\u200b!", FIRST_CLEANING) == (
        "一只狗。 a tri colored dog\u200b"
    )
    assert Tokenizer(("a",)).cleaning == CLEANING


@pytest.mark.flickr8k
def test_both_rules_make_the_same_of_flickr8k(shared: Path) -> None:
    rows = read_captions(shared / "flickr8k" / "Flickr_8k_text")
    assert len(rows) == 35_460
    assert all(clean_caption(raw) == clean_caption(raw, FIRST_CLEANING) for _, raw in rows)


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
