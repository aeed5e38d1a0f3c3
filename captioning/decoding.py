"""Greedy and beam search over one step function; knows no Keras model.

A step function takes the last words, int (photos, hypotheses), and a state (a list of arrays
whose first two dimensions are those), and gives log-probabilities
(photos, hypotheses, vocabulary) of the next word and the new state.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from captioning.text import END, PADDING, START, UNKNOWN

Step = Callable[[np.ndarray, list[np.ndarray]], tuple[np.ndarray, list[np.ndarray]]]

NEVER_SAID = (PADDING, START, UNKNOWN)


@dataclass(frozen=True)
class DecodingSettings:
    """How to decode. beam: 1 is greedy; max_words: of a caption; views: of each photo, for the
    decoders that look, the mean over them decides; the rest as in `beam_search`.
    """

    beam: int
    length_power: float
    max_words: int
    no_repeat: int = 0
    never: tuple[int, ...] = NEVER_SAID
    views: int = 1

    def __str__(self) -> str:
        views = f", {self.views} views a photo" if self.views > 1 else ""
        rule = f", no {self.no_repeat} words twice" if self.no_repeat else ""
        if self.beam == 1 and not self.no_repeat:
            return f"greedy{views}"
        return f"beam {self.beam}, length power {self.length_power}{rule}{views}"


@dataclass(frozen=True)
class Hypothesis:
    """A caption as numbers without markers, and the log-probability of all its words and end."""

    tokens: tuple[int, ...]
    log_probability: float

    @property
    def score(self) -> float:
        """The mean log-probability a word, the end counted as one."""
        return self.log_probability / (len(self.tokens) + 1)


def decode(
    step: Step, state: list[np.ndarray], photos: int, settings: DecodingSettings
) -> list[list[Hypothesis]]:
    """Hypotheses of each photo, best first: one by greedy search, or a beam's."""
    if settings.beam == 1 and not settings.no_repeat:
        found = greedy(step, state, photos, settings.max_words, settings.never)
        return [[hypothesis] for hypothesis in found]
    return beam_search(
        step, state, photos, settings.max_words, settings.beam, settings.length_power,
        settings.never, settings.no_repeat,
    )


def greedy(
    step: Step,
    state: list[np.ndarray],
    photos: int,
    max_length: int,
    never: Sequence[int] = NEVER_SAID,
) -> list[Hypothesis]:
    """The likeliest word each time, for `photos` photos side by side, up to max_length words."""
    words = np.full((photos, 1), START, np.int32)
    chosen, totals = [], np.zeros(photos)
    running = np.ones(photos, bool)
    for _ in range(max_length + 1):
        log_probabilities, state = step(words, state)
        log_probabilities = _silence(log_probabilities, never, first=not chosen)
        log_probabilities = log_probabilities[:, 0]  # (photos, vocabulary)
        room = len(chosen) < max_length
        best = log_probabilities.argmax(-1) if room else np.full(photos, END)
        gains = np.take_along_axis(log_probabilities, best[:, None], axis=1)[:, 0]  # (photos,)
        totals += np.where(running, gains, 0.0)
        best = np.where(running, best, END)
        chosen.append(best)
        running &= best != END
        if not running.any():
            break
        words = best[:, None].astype(np.int32)
    rows = np.stack(chosen, axis=1)  # (photos, steps)
    return [Hypothesis(_words(row), float(t)) for row, t in zip(rows, totals, strict=True)]


def sample(
    step: Step,
    state: list[np.ndarray],
    photos: int,
    samples: int,
    max_length: int,
    generator: np.random.Generator,
    never: Sequence[int] = NEVER_SAID,
) -> list[list[list[int]]]:
    """Captions drawn word by word as likely as the model holds them, `samples` a photo.

    Draws by adding Gumbel noise to the log-probabilities and taking the largest.
    """
    state = [np.repeat(part, samples, axis=1) for part in state]  # (photos, samples, ...)
    words = np.full((photos, samples), START, np.int32)
    running = np.ones((photos, samples), bool)
    said = []
    for _ in range(max_length):
        log_probabilities, state = step(words, state)
        log_probabilities = _silence(log_probabilities, never, first=not said)
        noise = generator.random(log_probabilities.shape, np.float32)
        drawn = (log_probabilities - np.log(-np.log(noise + 1e-20) + 1e-20)).argmax(-1)
        words = np.where(running, drawn, END).astype(np.int32)  # (photos, samples)
        said.append(words)
        running &= words != END
        if not running.any():
            break
    rows = np.stack(said, axis=-1)  # (photos, samples, steps)
    return [[list(_words(row)) for row in photo] for photo in rows]


def beam_search(
    step: Step,
    state: list[np.ndarray],
    photos: int,
    max_length: int,
    beam: int = 5,
    length_power: float = 0.7,
    never: Sequence[int] = NEVER_SAID,
    no_repeat: int = 0,
) -> list[list[Hypothesis]]:
    """Up to `beam` captions a photo, best first, ranked by log-probability / length**length_power.

    A finished hypothesis leaves the beam for a pool of the best `beam` and is frozen there. A
    photo is done when its pool is full and the best open hypothesis ranks below the pool's
    worst (Wu et al. 2016, https://arxiv.org/abs/1609.08144, for the length normalisation). With
    `no_repeat` 3, no three words come twice in a caption.
    """
    rows = np.arange(photos)[:, None]
    state = [np.repeat(part, beam, axis=1) for part in state]  # (photos, beam, ...)
    words = np.full((photos, beam), START, np.int32)
    totals = np.full((photos, beam), -np.inf)
    totals[:, 0] = 0.0  # all hypotheses of a photo are the same before the first word
    said = np.full((photos, beam, max_length + 1), END, np.int32)
    pool = np.full((photos, beam), -np.inf)  # rank of the finished
    pool_totals, pool_said = pool.copy(), said.copy()

    for length in range(1, max_length + 2):
        log_probabilities, state = step(words, state)
        log_probabilities = _silence(log_probabilities, never, first=length == 1)
        if no_repeat:
            _forbid_repeats(log_probabilities, said[..., : length - 1], no_repeat)
        if length == max_length + 1:  # no room for another word
            log_probabilities[..., np.arange(log_probabilities.shape[-1]) != END] = -np.inf
        vocabulary = log_probabilities.shape[-1]
        candidates = (totals[..., None] + log_probabilities).reshape(photos, -1)
        totals, best = _largest(candidates, 2 * beam)  # (photos, 2 * beam), best first
        parents, words = best // vocabulary, best % vocabulary
        candidate_said = said[rows, parents]  # (photos, 2 * beam, steps)
        candidate_said[..., length - 1] = words

        # The best candidates that end move to the pool.
        ending = words == END
        rank = np.where(ending, totals / length**length_power, -np.inf)
        rank[:, beam:] = -np.inf
        rank = np.concatenate([pool, rank], axis=1)
        pool, place = _largest(rank, beam)
        pool_totals = np.concatenate([pool_totals, totals], axis=1)[rows, place]
        pool_said = np.concatenate([pool_said, candidate_said], axis=1)[rows, place]

        # The best that go on are the new beam.
        going_on = np.argsort(ending, axis=1, kind="stable")[:, :beam]
        totals = np.where(ending, -np.inf, totals)[rows, going_on]
        words = words[rows, going_on].astype(np.int32)
        said = candidate_said[rows, going_on]
        state = [part[rows, parents[rows, going_on]] for part in state]
        if (totals[:, 0] / length**length_power <= pool[:, -1]).all():
            break
    return [_hypotheses(*photo) for photo in zip(pool_said, pool_totals, pool, strict=True)]


def _hypotheses(said: np.ndarray, totals: np.ndarray, ranks: np.ndarray) -> list[Hypothesis]:
    """The filled places of one photo's pool, best first."""
    filled = np.flatnonzero(ranks > -np.inf)
    return [Hypothesis(_words(said[place]), float(totals[place])) for place in filled]


def _silence(log_probabilities: np.ndarray, never: Sequence[int], first: bool) -> np.ndarray:
    log_probabilities = np.array(log_probabilities, np.float32)
    # A caption has a word at least: the end can't be the first thing said.
    log_probabilities[..., [*never, END] if first else list(never)] = -np.inf
    return log_probabilities


def _forbid_repeats(log_probabilities: np.ndarray, said: np.ndarray, count: int) -> None:
    """Silence the words that would say `count` words of `said`, (P, K, words), again (in place)."""
    words = said.shape[-1]
    last = said[..., words - count + 1 :]  # (P, K, count - 1)
    for start in range(words - count + 1):
        again = (said[..., start : start + count - 1] == last).all(axis=-1)  # (P, K)
        photos, hypotheses = np.nonzero(again)
        after = said[photos, hypotheses, start + count - 1]
        log_probabilities[photos, hypotheses, after] = -np.inf


def _largest(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` largest of each row, largest first, and where they stood."""
    count = min(count, values.shape[1])
    places = np.argpartition(-values, count - 1, axis=1)[:, :count]
    rows = np.arange(len(values))[:, None]
    order = np.argsort(-values[rows, places], axis=1, kind="stable")
    places = places[rows, order]
    return values[rows, places], places


def _words(row: np.ndarray) -> tuple[int, ...]:
    tokens = row.tolist()
    return tuple(tokens[: tokens.index(END)] if END in tokens else tokens)
