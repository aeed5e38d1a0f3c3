"""Scores of known captions, and what is refused."""

import math

import pytest

from captioning.errors import CaptioningError
from captioning.scoring import score_captions

REFERENCES = {
    "a.jpg": ["a dog runs on the grass", "the brown dog is running fast"],
    "b.jpg": ["two children play", "two kids are playing in the sand"],
}


def test_bleu_counts_words_with_the_closest_reference_length() -> None:
    captions = {"a.jpg": "a dog runs on grass", "b.jpg": "two children play in the sand"}
    scores = score_captions(captions, REFERENCES).corpus
    # a.jpg: 5 of 5 words, b.jpg: 6 of 6; lengths 5+6 against the closest references 6+7.
    assert scores["BLEU-1"] == pytest.approx(100 * math.exp(1 - 13 / 11), abs=1e-3)
    # pairs: a dog, dog runs, runs on; two children, children play, in the, the sand: 7 of 9
    wanted = 100 * math.exp(1 - 13 / 11) * math.sqrt(7 / 9)
    assert scores["BLEU-2"] == pytest.approx(wanted, abs=1e-3)


def test_a_perfect_caption_scores_full_marks_whatever_its_punctuation() -> None:
    captions = {"a.jpg": "A dog runs on the grass .", "b.jpg": "two kids are playing in the sand"}
    scores = score_captions(captions, REFERENCES)
    assert scores.corpus["BLEU-4"] == pytest.approx(100, abs=1e-4)
    assert scores.corpus["ROUGE-L"] == pytest.approx(100, abs=1e-4)
    assert set(scores.cider) == {"a.jpg", "b.jpg"}


@pytest.mark.parametrize(
    ("captions", "message"),
    [
        ({"a.jpg": "<start> a dog"}, "marker '<start>'"),
        ({"a.jpg": "a dog endseq"}, "marker 'endseq'"),
        ({"a.jpg": " . "}, "caption of a.jpg is empty"),
        ({"c.jpg": "a dog"}, "c.jpg has no reference"),
        ({}, "no captions"),
    ],
)
def test_what_cannot_be_scored_is_refused(captions: dict, message: str) -> None:
    with pytest.raises(CaptioningError, match=message):
        score_captions(captions, REFERENCES)
