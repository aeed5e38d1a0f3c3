"""A caption that goes on from given words, and what else each of its words could have been."""

from pathlib import Path

import numpy as np
import pytest

from captioning import load
from captioning.data.text import END, START
from captioning.errors import CaptioningError
from captioning.inference.captioner import Captioner
from captioning.inference.search import beam_search, greedy
from captioning.inference.settings import DecodingSettings
from captioning.vision.images import load_array
from tests.conftest import ROOT
from tests.test_search import SIZE, exhaustive, random_tables, start_state, table_step


def test_a_given_beginning_is_kept_and_its_probability_counts() -> None:
    tables = random_tables(4, seed=7)
    for prefix in ((5,), (6, 4)):
        settings = DecodingSettings(max_words=3, beam=64, length_power=0.7, prefix=prefix)
        found = beam_search(table_step(tables), start_state(4), 4, settings)
        for photo in range(4):
            wanted = [
                row for row in exhaustive(tables[photo], 3, 0.7) if row[2][: len(prefix)] == prefix
            ]
            assert [h.tokens for h in found[photo]] == [row[2] for row in wanted]
            assert found[photo][0].log_probability == pytest.approx(wanted[0][1], abs=1e-4)


def test_greedy_goes_on_from_a_given_beginning() -> None:
    tables = random_tables(4, seed=8)
    settings = DecodingSettings(max_words=6, prefix=(5, 5))
    for photo, found in enumerate(greedy(table_step(tables), start_state(4), 4, settings)):
        path = [START, START, 5, 5]
        while len(path) < 8:
            row = tables[photo][path[-2], path[-1]].copy()
            row[list(settings.suppressed)] = -np.inf
            if (word := int(row.argmax())) == END:
                break
            path.append(word)
        assert found.tokens == tuple(path[2:])


def test_a_given_beginning_may_repeat_itself_and_fill_the_caption() -> None:
    tables = random_tables(1, seed=9)
    settings = DecodingSettings(max_words=3, beam=4, no_repeat=1, prefix=(5, 5, 3))
    (found,) = beam_search(table_step(tables), start_state(1), 1, settings)
    assert [h.tokens for h in found] == [(5, 5, 3)]
    assert SIZE > 5


@pytest.fixture(scope="module")
def captioner() -> Captioner:
    """The shipped model, run by ONNX Runtime."""
    return load(ROOT / "models" / "flickr8k", runtime="onnx")


def test_the_words_of_a_caption_with_what_else_they_could_have_been(captioner: Captioner) -> None:
    photo: Path = ROOT / "samples" / "cat.jpg"
    size = captioner.trained_model.encoder["size"]
    vectors, grids = captioner.encode(load_array(photo, size)[None])
    caption = captioner.decoder.text(captioner.decoder.decode(vectors, grids)[0][0])
    choices = captioner.decoder.word_choices(vectors[0], grids[0], caption, 5)
    assert [choice.word for choice in choices] == caption.split()
    maps = captioner.decoder.attention(vectors, grids, [caption])[0]
    for choice, weights in zip(choices, maps, strict=True):
        assert choice.attention == pytest.approx(weights, abs=1e-5)
        shares = [share for _, share in choice.likeliest]
        assert len(shares) == 5 and shares == sorted(shares, reverse=True) and sum(shares) <= 1
        assert choice.word not in dict(choice.likeliest) or dict(choice.likeliest)[
            choice.word
        ] == pytest.approx(choice.probability)
    # Another word at the second place, and the caption goes on from there.
    other = next(word for word, _ in choices[1].likeliest if word != choices[1].word)
    prefix = f"{choices[0].word} {other}"
    found = captioner.decoder.decode(vectors, grids, prefix=prefix)[0]
    assert all(captioner.decoder.text(h).startswith(prefix) for h in found)
    with pytest.raises(CaptioningError, match="200 given words"):
        captioner.decoder.settings(prefix="dog " * 200)
