"""Greedy search, beam search and sampling over one step function; knows no model.

A step function takes the last words, int (photos, hypotheses), and a state (a list of arrays
whose first two dimensions are those). It gives log-probabilities (photos, hypotheses, vocabulary)
of the next word, which the search may write to, and the new state.

Captions end at different lengths. A function `keep`, where there is one, tells the step to go on
with some of the photos only, whose rows it is given: once half of a batch's captions have
finished, half of its rows are dropped. The batch is halved, never cut to any size between, so
that a compiled step meets few shapes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from captioning.data.text import END, START
from captioning.inference.settings import DecodingSettings

Step = Callable[[np.ndarray, list[np.ndarray]], tuple[np.ndarray, list[np.ndarray]]]

Keep = Callable[[np.ndarray], None]

Watch = Callable[[np.ndarray, np.ndarray], None]
"""Is shown a beam after each step: tokens, int (rows, K, words so far), and the log-probabilities
of all their words, (rows, K), best first; -inf where fewer than K hypotheses go on."""


@dataclass(frozen=True)
class Hypothesis:
    """A caption as tokens without markers, and the log-probability of all its words and end."""

    tokens: tuple[int, ...]
    log_probability: float

    @property
    def score(self) -> float:
        """The mean log-probability a word, the end counted as one."""
        return self.log_probability / (len(self.tokens) + 1)


def search(
    step: Step,
    state: list[np.ndarray],
    photos: int,
    settings: DecodingSettings,
    keep: Keep | None = None,
    watch: Watch | None = None,
) -> list[list[Hypothesis]]:
    """Hypotheses of each photo, best first: one by greedy search, or those of a beam.

    watch: is shown what a beam keeps; greedy search keeps nothing but what it gives.
    """
    if settings.beam == 1 and not settings.no_repeat:
        return [[hypothesis] for hypothesis in greedy(step, state, photos, settings, keep)]
    return beam_search(step, state, photos, settings, keep, watch)


def greedy(
    step: Step,
    state: list[np.ndarray],
    photos: int,
    settings: DecodingSettings,
    keep: Keep | None = None,
) -> list[Hypothesis]:
    """The likeliest word each time, for `photos` photos side by side.

    Of the settings, `max_words`, `prefix` and `suppressed` count.
    """
    tokens = np.full((photos, settings.max_words + 1), END, np.int32)
    totals = np.zeros(photos)
    photo_of = np.arange(photos)  # (rows,): the photo that each row of a step belongs to
    words = np.full((photos, 1), START, np.int32)
    running = np.ones(photos, bool)
    for length in range(settings.max_words + 1):
        log_probabilities, state = step(words, state)
        log_probabilities = _suppress(log_probabilities, settings, length)
        log_probabilities = log_probabilities[:, 0]  # (rows, vocabulary)
        # A caption that is as long as it may be ends here, whatever the likeliest word is.
        has_room = length < settings.max_words
        best = log_probabilities.argmax(-1) if has_room else np.full(len(photo_of), END)
        gains = np.take_along_axis(log_probabilities, best[:, None], axis=1)[:, 0]
        # Finished rows stay in the batch until it is halved: they gain nothing and repeat the end.
        totals[photo_of] += np.where(running, gains, 0.0)
        best = np.where(running, best, END)
        tokens[photo_of, length] = best
        running &= best != END
        if not running.any():
            break
        words = best[:, None].astype(np.int32)
        rows = _rows_to_keep(running, keep)
        if len(rows) < len(photo_of):
            photo_of, words, running = photo_of[rows], words[rows], running[rows]
            state = [part[rows] for part in state]
    return [Hypothesis(_words(row), float(t)) for row, t in zip(tokens, totals, strict=True)]


def sample(
    step: Step,
    state: list[np.ndarray],
    photos: int,
    samples: int,
    settings: DecodingSettings,
    generators: Sequence[np.random.Generator],
) -> list[list[list[int]]]:
    """Captions drawn word by word with the model's probabilities, `samples` of each photo.

    generators: one a photo, so that its captions don't depend on the photos beside it. Of the
    settings, `max_words`, `prefix` and `suppressed` count. A caption that was cut off at
    `max_words` has as many tokens.
    """
    state = [np.repeat(part, samples, axis=1) for part in state]  # (photos, samples, ...)
    words = np.full((photos, samples), START, np.int32)
    running = np.ones((photos, samples), bool)
    drawn: list[np.ndarray] = []
    for _ in range(settings.max_words):
        log_probabilities, state = step(words, state)
        log_probabilities = _suppress(log_probabilities, settings, len(drawn))
        # The Gumbel-max trick: the largest of log-probabilities with Gumbel noise added is a draw
        # from the distribution, for all rows at once and without a cumulative sum.
        noise = np.empty(log_probabilities.shape, np.float32)  # (photos, samples, vocabulary)
        for own, generator in zip(noise, generators, strict=True):
            generator.random(out=own, dtype=np.float32)
        best = (log_probabilities - np.log(-np.log(noise + 1e-20) + 1e-20)).argmax(-1)
        words = np.where(running, best, END).astype(np.int32)  # (photos, samples)
        drawn.append(words)
        running &= words != END
        if not running.any():
            break
    rows = np.stack(drawn, axis=-1)  # (photos, samples, steps)
    return [[list(_words(row)) for row in photo] for photo in rows]


def beam_search(
    step: Step,
    state: list[np.ndarray],
    photos: int,
    settings: DecodingSettings,
    keep: Keep | None = None,
    watch: Watch | None = None,
) -> list[list[Hypothesis]]:
    """Up to `beam` captions a photo, best first, ranked by log-probability / length**length_power.

    A finished hypothesis leaves the beam for a pool of the best `beam`, and nothing changes it
    there. A photo is done when its pool is full and its best running hypothesis ranks below the
    pool's worst (Wu et al. 2016, https://arxiv.org/abs/1609.08144, for the length normalisation).
    """
    beam, power = settings.beam, settings.length_power
    found: list[list[Hypothesis]] = [[]] * photos
    photo_of = np.arange(photos)  # (rows,): the photo that each row of a step belongs to
    running = np.ones(photos, bool)
    # Before the first word a photo has one hypothesis, not `beam` equal ones: those would fill the
    # beam with copies of one continuation.
    words = np.full((photos, 1), START, np.int32)
    totals = np.zeros((photos, 1))
    tokens = np.full((photos, 1, settings.max_words + 1), END, np.int32)
    pool = _Pool(photos, beam, settings.max_words)

    for length in range(1, settings.max_words + 2):
        log_probabilities, state = step(words, state)
        log_probabilities = _allowed(log_probabilities, tokens[..., : length - 1], settings)
        # Twice the beam: at most `beam` of the best continuations end, one for each parent, so
        # at least `beam` of them can go on.
        totals, parents, words = _continuations(totals, log_probabilities, 2 * beam)
        rows = np.arange(len(photo_of))[:, None]
        tokens = tokens[rows, parents]  # (rows, 2 * beam, max_words + 1)
        tokens[..., length - 1] = words
        pool.take(totals, words, tokens, length**power)

        # The best that go on are the new beam: the sort is stable, so their order stays. Where
        # there are too few (a small vocabulary), finished ones fill it at -inf.
        going_on = np.argsort(words == END, axis=1, kind="stable")[:, :beam]
        totals = np.where(words == END, -np.inf, totals)[rows, going_on]
        words = words[rows, going_on].astype(np.int32)
        tokens = tokens[rows, going_on]
        if watch:
            watch(tokens[..., :length], totals)
        # Totals only fall, so a running hypothesis that ranks below the whole pool now is given
        # up, though a length_power above 0 could raise its rank again. An empty place of the pool
        # ranks at -inf, so a pool that isn't full never stops the search.
        ended = (totals[:, 0] / length**power <= pool.ranks[:, -1]) | (length > settings.max_words)
        for row in map(int, np.flatnonzero(running & ended)):
            found[photo_of[row]] = pool.hypotheses(row)
        running &= ~ended
        if not running.any():
            break
        # The state is of the hypotheses before this step: each takes its parent's.
        kept = _rows_to_keep(running, keep)
        state = [part[kept[:, None], parents[rows, going_on][kept]] for part in state]
        photo_of, running, words = photo_of[kept], running[kept], words[kept]
        totals, tokens = totals[kept], tokens[kept]
        pool.keep(kept)
    return found


class _Pool:
    """The best finished hypotheses of each photo, best first; empty places rank at -inf."""

    def __init__(self, photos: int, size: int, max_words: int) -> None:
        self.ranks = np.full((photos, size), -np.inf)
        self._totals = self.ranks.copy()
        self._tokens = np.full((photos, size, max_words + 1), END, np.int32)

    def take(
        self, totals: np.ndarray, words: np.ndarray, tokens: np.ndarray, divisor: float
    ) -> None:
        """Let those of the best `size` candidates compete whose last word is the end.

        totals: (photos, N), best first; words: the last ones, (photos, N); tokens: (photos, N,
        steps). A candidate's rank is its total divided by `divisor`.
        """
        size = self.ranks.shape[1]
        ranks = np.where(words == END, totals / divisor, -np.inf)
        # Candidates past the beam's width are there to refill the beam, not to finish: a beam of
        # `size` would not have reached them.
        ranks[:, size:] = -np.inf
        rows = np.arange(len(ranks))[:, None]
        self.ranks, place = _largest(np.concatenate([self.ranks, ranks], axis=1), size)
        self._totals = np.concatenate([self._totals, totals], axis=1)[rows, place]
        self._tokens = np.concatenate([self._tokens, tokens], axis=1)[rows, place]

    def keep(self, rows: np.ndarray) -> None:
        """Go on with some of the photos."""
        self.ranks, self._totals = self.ranks[rows], self._totals[rows]
        self._tokens = self._tokens[rows]

    def hypotheses(self, row: int) -> list[Hypothesis]:
        """The filled places of one photo."""
        return [
            Hypothesis(_words(self._tokens[row, place]), float(self._totals[row, place]))
            for place in np.flatnonzero(self.ranks[row] > -np.inf)
        ]


def _rows_to_keep(running: np.ndarray, keep: Keep | None) -> np.ndarray:
    """All rows, or, once half of them have finished, half of them, and `keep` is told.

    Where fewer than half are running, some finished rows fill the half.
    """
    half = (len(running) + 1) // 2
    if keep is None or running.sum() > half or half == len(running):
        return np.arange(len(running))
    # Running rows first, and back in order, so that the photos of a batch keep their order.
    rows = np.sort(np.argsort(~running, kind="stable")[:half])
    keep(rows)
    return rows


def _suppress(log_probabilities: np.ndarray, settings: DecodingSettings, words: int) -> np.ndarray:
    """What may come after so many words; where they are given, the next given one alone."""
    log_probabilities = np.require(log_probabilities, np.float32, "W")  # copied only if need be
    if words < len(settings.prefix):
        given = settings.prefix[words]
        kept = log_probabilities[..., given].copy()
        log_probabilities[...] = -np.inf
        log_probabilities[..., given] = kept
        return log_probabilities
    # A caption has at least one word: the end can't be the first token.
    suppressed = list(settings.suppressed) if words else [*settings.suppressed, END]
    log_probabilities[..., suppressed] = -np.inf
    return log_probabilities


def _allowed(
    log_probabilities: np.ndarray, tokens: np.ndarray, settings: DecodingSettings
) -> np.ndarray:
    """Log-probabilities of what may follow `tokens`, (P, K, words); -inf for all else."""
    words = tokens.shape[-1]
    log_probabilities = _suppress(log_probabilities, settings, words)
    if settings.no_repeat and words >= len(settings.prefix):
        _forbid_repeats(log_probabilities, tokens, settings.no_repeat)
    if words == settings.max_words:  # no room for another word
        log_probabilities[..., np.arange(log_probabilities.shape[-1]) != END] = -np.inf
    return log_probabilities


def _forbid_repeats(log_probabilities: np.ndarray, tokens: np.ndarray, count: int) -> None:
    """Suppress, in place, words that would complete an n-gram of `tokens` a second time.

    tokens: (P, K, words); count: the n of the n-gram.
    """
    words = tokens.shape[-1]
    last = tokens[..., words - count + 1 :]  # (P, K, count - 1)
    # Wherever the last count - 1 words stood before, the word after them then may not follow now.
    for start in range(words - count + 1):
        again = (tokens[..., start : start + count - 1] == last).all(axis=-1)  # (P, K)
        photos, hypotheses = np.nonzero(again)
        after = tokens[photos, hypotheses, start + count - 1]
        log_probabilities[photos, hypotheses, after] = -np.inf


def _continuations(
    totals: np.ndarray, log_probabilities: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The `count` likeliest continuations of a photo's hypotheses: totals, parents, words.

    totals: (P, K); log_probabilities: (P, K, vocabulary). Gives (P, count) of each, best first;
    parents are places among the K.

    To partition all K * vocabulary sums is slow. So each hypothesis' vocabulary is written in rows
    of 256: column c holds the words c, c + 256, c + 512 and so on. The best `count` words lie in
    the `count` columns with the best maxima: any other column's best is beaten by `count` maxima.
    Maxima are found in a tenth of the time that a partition takes. The longer the rows, the faster
    the maxima, until the partition of the maxima costs more than it saves.
    """
    photos, hypotheses, vocabulary = log_probabilities.shape
    columns = min(256, vocabulary)
    whole = vocabulary // columns * columns
    maxima = log_probabilities[..., :whole].reshape(photos, hypotheses, -1, columns).max(axis=2)
    # The words that fill no row stand under the first columns.
    rest = maxima[..., : vocabulary - whole]  # (P, K, fewer than columns), a view of `maxima`
    np.maximum(rest, log_probabilities[..., whole:], out=rest)
    maxima = maxima + totals[..., None]  # (P, K, columns)
    _, places = _largest(maxima.reshape(photos, -1), count)  # (P, N)
    rows = np.arange(photos)[:, None]
    parents, column = places // columns, places % columns
    # All words of those columns, few enough for a partition.
    words = column[..., None] + np.arange(0, vocabulary, columns)  # (P, N, words of a column)
    exists = words < vocabulary  # the last row may not reach so far
    words = np.where(exists, words, 0)
    gains = log_probabilities[rows[..., None], parents[..., None], words]
    few = np.where(exists, totals[rows, parents][..., None] + gains, -np.inf)  # (P, N, ...)
    totals, best = _largest(few.reshape(photos, -1), count)  # (P, count)
    return totals, parents[rows, best // few.shape[-1]], words.reshape(photos, -1)[rows, best]


def _largest(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` largest of each row, largest first, and their places in it."""
    count = min(count, values.shape[1])
    # Partition first: it is linear, and only the few that it finds are sorted.
    places = np.argpartition(-values, count - 1, axis=1)[:, :count]
    rows = np.arange(len(values))[:, None]
    order = np.argsort(-values[rows, places], axis=1, kind="stable")
    places = places[rows, order]
    return values[rows, places], places


def _words(row: np.ndarray) -> tuple[int, ...]:
    """The tokens before the end marker."""
    tokens = row.tolist()
    return tuple(tokens[: tokens.index(END)] if END in tokens else tokens)
