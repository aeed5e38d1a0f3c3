"""Greedy search and beam search over tables of log-probabilities, against exhaustive search."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from captioning.data.text import END, START, Tokenizer
from captioning.inference.search import beam_search, greedy
from captioning.inference.settings import DecodingSettings

TOKENIZER = Tokenizer(("a", "dog", "runs", "here"))
SIZE = TOKENIZER.size


def table_step(tables: np.ndarray) -> Callable:
    """A step whose log-probabilities depend on the photo and on the two words before.

    tables: (photos, SIZE, SIZE, SIZE). The state is the word before the last, so that a search
    that mixes up states finds other captions.
    """

    def step(words: np.ndarray, state: list[np.ndarray]) -> tuple:
        photos = np.arange(len(words))[:, None]
        return tables[photos, state[0], words], [words]

    return step


def random_tables(photos: int, seed: int) -> np.ndarray:
    logits = 2 * np.random.default_rng(seed).normal(size=(photos, SIZE, SIZE, SIZE))
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def exhaustive(table: np.ndarray, max_length: int, power: float) -> list[tuple]:
    """All captions up to max_length words, ranked; (rank, total, tokens)."""
    found = []
    for length in range(1, max_length + 1):
        for tokens in itertools.product(range(4, SIZE), repeat=length):
            path = [START, START, *tokens, END]
            total = sum(table[path[i], path[i + 1], path[i + 2]] for i in range(len(path) - 2))
            found.append((total / (length + 1) ** power, total, tokens))
    return sorted(found, reverse=True)


def start_state(photos: int) -> list[np.ndarray]:
    return [np.full((photos, 1), START, np.int32)]


@pytest.mark.parametrize("power", [0.0, 0.7, 1.0])
def test_a_wide_beam_finds_what_exhaustive_search_finds(power: float) -> None:
    tables = random_tables(6, seed=1)
    settings = DecodingSettings(max_words=3, beam=64, length_power=power)
    found = beam_search(table_step(tables), start_state(6), 6, settings)
    for photo in range(6):
        wanted = exhaustive(tables[photo], 3, power)[:5]
        for (_, total, tokens), hypothesis in zip(wanted, found[photo][:5], strict=True):
            assert hypothesis.tokens == tokens
            assert hypothesis.log_probability == pytest.approx(total, abs=1e-4)


def test_photos_in_one_batch_are_decoded_as_if_alone() -> None:
    tables = random_tables(5, seed=2)
    settings = DecodingSettings(max_words=6, beam=3)
    together = beam_search(table_step(tables), start_state(5), 5, settings)
    for photo in range(5):
        alone = beam_search(table_step(tables[photo : photo + 1]), start_state(1), 1, settings)
        assert [h.tokens for h in alone[0]] == [h.tokens for h in together[photo]]


def test_greedy_takes_the_likeliest_word_and_generates_no_markers_or_unk() -> None:
    tables = random_tables(20, seed=3)
    tables[..., [0, 1, 3]] += 20  # the markers and <unk> would win everywhere
    found = greedy(table_step(tables), start_state(20), 20, DecodingSettings(max_words=6))
    for photo, hypothesis in enumerate(found):
        path = [START, START]
        for _ in range(6):
            scores = tables[photo, path[-2], path[-1]].copy()
            scores[[0, 1, 3, END] if len(path) == 2 else [0, 1, 3]] = -np.inf
            if scores.argmax() == END:
                break
            path.append(int(scores.argmax()))
        assert hypothesis.tokens == tuple(path[2:])
        assert not set(hypothesis.tokens) & {0, 1, 2, 3}


def test_a_caption_has_a_word_at_least() -> None:
    tables = random_tables(4, seed=4)
    settings = DecodingSettings(max_words=6, beam=3)
    tables[..., END] += 30
    found = greedy(table_step(tables), start_state(4), 4, settings)
    assert all(len(hypothesis.tokens) == 1 for hypothesis in found)
    for best, *_ in beam_search(table_step(tables), start_state(4), 4, settings):
        assert len(best.tokens) == 1


def test_the_step_is_fed_readable_words_and_stops_at_the_end() -> None:
    told = ["a", "dog", "runs", "here"]
    numbers = [TOKENIZER.encode(word)[0] for word in told] + [END]

    def step(words: np.ndarray, state: list[np.ndarray]) -> tuple:
        position = int(state[0].max())
        scores = np.full((*words.shape, SIZE), -9.0)
        scores[..., numbers[position]] = -0.1
        return scores, [state[0] + 1]

    state = [np.zeros((2, 1), int)]
    settings = DecodingSettings(max_words=20)
    hypothesis = greedy(step, state, 2, settings)[0]
    assert TOKENIZER.decode(hypothesis.tokens) == "a dog runs here"
    assert hypothesis.score == pytest.approx(-0.1)
    best = beam_search(step, state, 2, settings)[1][0]
    assert best.tokens == hypothesis.tokens
    assert greedy(step, state, 2, DecodingSettings(max_words=2))[0].tokens == hypothesis.tokens[:2]


def test_no_three_words_twice_against_exhaustive_search() -> None:
    tables = random_tables(4, seed=5)
    tables[:, :, 4, 5] += 4  # "a dog", "dog a", over and over
    tables[:, :, 5, 4] += 4

    def repeats(tokens: tuple[int, ...], count: int) -> bool:
        runs = [tokens[i : i + count] for i in range(len(tokens) - count + 1)]
        return len(set(runs)) < len(runs)

    settings = DecodingSettings(max_words=6, beam=64, length_power=1.0)
    free = beam_search(table_step(tables), start_state(4), 4, settings)
    assert any(repeats(best[0].tokens, 2) for best in free)
    settings = DecodingSettings(max_words=6, beam=4000, length_power=1.0, no_repeat=2)
    found = beam_search(table_step(tables), start_state(4), 4, settings)
    for photo in range(4):
        wanted = [row for row in exhaustive(tables[photo], 6, 1.0) if not repeats(row[2], 2)][:3]
        assert [h.tokens for h in found[photo][:3]] == [tokens for *_, tokens in wanted]
