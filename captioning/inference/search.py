"""Greedy and beam search over one step function; knows no Keras model.

A step function takes the last words, int (photos, hypotheses), and a state (a list of arrays
whose first two dimensions are those), and gives log-probabilities
(photos, hypotheses, vocabulary) of the next word, which the search may write to, and the new state.

Captions end at different lengths. A function `keep`, where there is one, tells the step to go on
with some of the photos only, whose places it is given: once half of a batch's captions have
ended, half of its rows are left out. The sizes are halved, never anything between, so that a
compiled step meets few shapes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from captioning.data.text import END, START
from captioning.inference.settings import SUPPRESSED, DecodingSettings

Step = Callable[[np.ndarray, list[np.ndarray]], tuple[np.ndarray, list[np.ndarray]]]


Keep = Callable[[np.ndarray], None]


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
    step: Step,
    state: list[np.ndarray],
    photos: int,
    settings: DecodingSettings,
    keep: Keep | None = None,
) -> list[list[Hypothesis]]:
    """Hypotheses of each photo, best first: one by greedy search, or a beam's."""
    if settings.beam == 1 and not settings.no_repeat:
        found = greedy(step, state, photos, settings.max_words, settings.never, keep)
        return [[hypothesis] for hypothesis in found]
    return beam_search(
        step,
        state,
        photos,
        settings.max_words,
        settings.beam,
        settings.length_power,
        settings.never,
        settings.no_repeat,
        keep,
    )


def greedy(
    step: Step,
    state: list[np.ndarray],
    photos: int,
    max_length: int,
    never: Sequence[int] = SUPPRESSED,
    keep: Keep | None = None,
) -> list[Hypothesis]:
    """The likeliest word each time, for `photos` photos side by side, up to max_length words."""
    said = np.full((photos, max_length + 1), END, np.int32)
    totals = np.zeros(photos)
    left = np.arange(photos)  # the photos that the rows of a step are of
    words = np.full((photos, 1), START, np.int32)
    running = np.ones(photos, bool)
    for length in range(max_length + 1):
        log_probabilities, state = step(words, state)
        log_probabilities = _silence(log_probabilities, never, first=not length)
        log_probabilities = log_probabilities[:, 0]  # (photos left, vocabulary)
        room = length < max_length
        best = log_probabilities.argmax(-1) if room else np.full(len(left), END)
        gains = np.take_along_axis(log_probabilities, best[:, None], axis=1)[:, 0]
        totals[left] += np.where(running, gains, 0.0)
        best = np.where(running, best, END)
        said[left, length] = best
        running &= best != END
        if not running.any():
            break
        words = best[:, None].astype(np.int32)
        rows = _rows_to_keep(running, keep)
        if len(rows) < len(left):
            left, words, running = left[rows], words[rows], running[rows]
            state = [part[rows] for part in state]
    return [Hypothesis(_words(row), float(t)) for row, t in zip(said, totals, strict=True)]


def _rows_to_keep(running: np.ndarray, keep: Keep | None) -> np.ndarray:
    """All rows, or, once half of them have ended, half of them, and `keep` is told."""
    half = (len(running) + 1) // 2
    if keep is None or running.sum() > half or half == len(running):
        return np.arange(len(running))
    rows = np.sort(np.argsort(~running, kind="stable")[:half])
    keep(rows)
    return rows


def sample(
    step: Step,
    state: list[np.ndarray],
    photos: int,
    samples: int,
    max_length: int,
    generator: np.random.Generator,
    never: Sequence[int] = SUPPRESSED,
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
    never: Sequence[int] = SUPPRESSED,
    no_repeat: int = 0,
    keep: Keep | None = None,
) -> list[list[Hypothesis]]:
    """Up to `beam` captions a photo, best first, ranked by log-probability / length**length_power.

    A finished hypothesis leaves the beam for a pool of the best `beam` and is frozen there. A
    photo is done when its pool is full and the best open hypothesis ranks below the pool's
    worst (Wu et al. 2016, https://arxiv.org/abs/1609.08144, for the length normalisation). With
    `no_repeat` 3, no three words come twice in a caption.
    """
    found: list[list[Hypothesis]] = [[]] * photos
    left = np.arange(photos)  # the photos that the rows of a step are of
    running = np.ones(photos, bool)
    words = np.full((photos, 1), START, np.int32)  # before the first word all hypotheses are one
    totals = np.zeros((photos, 1))
    said = np.full((photos, 1, max_length + 1), END, np.int32)
    pool = _Pool(photos, beam, max_length)

    for length in range(1, max_length + 2):
        log_probabilities, state = step(words, state)
        log_probabilities = _silence(log_probabilities, never, first=length == 1)
        if no_repeat:
            _forbid_repeats(log_probabilities, said[..., : length - 1], no_repeat)
        if length == max_length + 1:  # no room for another word
            log_probabilities[..., np.arange(log_probabilities.shape[-1]) != END] = -np.inf
        totals, parents, words = _continuations(totals, log_probabilities, 2 * beam)
        rows = np.arange(len(left))[:, None]
        said = said[rows, parents]  # (photos left, 2 * beam, steps)
        said[..., length - 1] = words
        pool.take(totals, words, said, length**length_power)

        # The best that go on are the new beam.
        going_on = np.argsort(words == END, axis=1, kind="stable")[:, :beam]
        totals = np.where(words == END, -np.inf, totals)[rows, going_on]
        words = words[rows, going_on].astype(np.int32)
        said = said[rows, going_on]
        ended = totals[:, 0] / length**length_power <= pool.ranks[:, -1]
        if length == max_length + 1:
            ended[:] = True
        for row in np.flatnonzero(running & ended):
            found[left[row]] = pool.hypotheses(row)
        running &= ~ended
        if not running.any():
            break
        kept = _rows_to_keep(running, keep)
        state = [part[kept[:, None], parents[rows, going_on][kept]] for part in state]
        left, running, words, totals, said = (
            part[kept] for part in (left, running, words, totals, said)
        )
        pool.keep(kept)
    return found


class _Pool:
    """The best finished hypotheses of each photo, best first; places are empty at rank -inf."""

    def __init__(self, photos: int, size: int, max_length: int) -> None:
        self.ranks = np.full((photos, size), -np.inf)
        self._totals = self.ranks.copy()
        self._said = np.full((photos, size, max_length + 1), END, np.int32)

    def take(self, totals: np.ndarray, words: np.ndarray, said: np.ndarray, divisor: float) -> None:
        """Let those of the best `size` candidates compete that end with their last word.

        totals: (photos, N), best first; words: the last ones, (photos, N); said: (photos, N,
        steps). A candidate's rank is its total divided by `divisor`.
        """
        size = self.ranks.shape[1]
        ranks = np.where(words == END, totals / divisor, -np.inf)
        ranks[:, size:] = -np.inf
        rows = np.arange(len(ranks))[:, None]
        self.ranks, place = _largest(np.concatenate([self.ranks, ranks], axis=1), size)
        self._totals = np.concatenate([self._totals, totals], axis=1)[rows, place]
        self._said = np.concatenate([self._said, said], axis=1)[rows, place]

    def keep(self, rows: np.ndarray) -> None:
        """Go on with some photos."""
        self.ranks, self._totals, self._said = (
            part[rows] for part in (self.ranks, self._totals, self._said)
        )

    def hypotheses(self, row: int) -> list[Hypothesis]:
        """The filled places of one photo."""
        return [
            Hypothesis(_words(self._said[row, place]), float(self._totals[row, place]))
            for place in np.flatnonzero(self.ranks[row] > -np.inf)
        ]


def _silence(log_probabilities: np.ndarray, never: Sequence[int], first: bool) -> np.ndarray:
    log_probabilities = np.require(log_probabilities, np.float32, "W")  # copied only if need be
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


def _continuations(
    totals: np.ndarray, log_probabilities: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The `count` likeliest continuations of a photo's hypotheses: totals, parents, words.

    totals: (P, K); log_probabilities: (P, K, vocabulary). Column c of 256 is the words c, c + 256,
    c + 512 and so on. The best `count` words lie in the `count` columns with the best maxima, and
    maxima are found in a tenth of the time that a partition takes: the longer the rows of
    columns, the faster, until the partition of the maxima costs more than it saves.
    """
    photos, hypotheses, vocabulary = log_probabilities.shape
    columns = min(256, vocabulary)
    whole = vocabulary // columns * columns
    maxima = log_probabilities[..., :whole].reshape(photos, hypotheses, -1, columns).max(axis=2)
    rest = maxima[..., : vocabulary - whole]  # (P, K, words that fill no row of columns)
    np.maximum(rest, log_probabilities[..., whole:], out=rest)
    maxima = maxima + totals[..., None]  # (P, K, columns)
    _, places = _largest(maxima.reshape(photos, -1), count)  # (P, N)
    rows = np.arange(photos)[:, None]
    parents, column = places // columns, places % columns
    words = column[..., None] + np.arange(0, vocabulary, columns)  # (P, N, words of a column)
    there = words < vocabulary
    words = np.where(there, words, 0)
    gains = log_probabilities[rows[..., None], parents[..., None], words]
    few = np.where(there, totals[rows, parents][..., None] + gains, -np.inf)  # (P, N, ...)
    totals, best = _largest(few.reshape(photos, -1), count)
    return totals, parents[rows, best // few.shape[-1]], words.reshape(photos, -1)[rows, best]


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
