"""From vectors and grids to captions; knows no photo files, no encoder and no Keras."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from captioning.data.text import MARKERS, PADDING, START
from captioning.decoders.ensemble import Seen
from captioning.errors import CaptioningError
from captioning.inference.choosing import Judges
from captioning.inference.model_folder import ModelFolder
from captioning.inference.search import Hypothesis, Watch, search
from captioning.inference.settings import DecodingOptions, DecodingSettings

VECTORS_AT_ONCE = 250
"""Photos that are decoded side by side. Where a beam is wide, fewer."""

HYPOTHESES_AT_ONCE = 32
"""The widest beam, times the views, with which `VECTORS_AT_ONCE` photos are decoded."""


class Steps(Protocol):
    """A decoder that generates word by word, for P photos with K hypotheses each.

    reads_grids: whether `begin` wants grids; attends: whether it has attention to the first
    encoder's; attention: these weights of the latest step, (P, K, regions), or None.
    """

    reads_grids: bool
    attends: bool
    attention: np.ndarray | None

    def begin(
        self, vectors: np.ndarray, grids: np.ndarray | None = None, others: Sequence[Seen] = ()
    ) -> tuple[Any, list[np.ndarray]]:
        """What stays the same of the photos through a caption, and the state before any word."""
        ...

    def step(
        self, words: np.ndarray, photo: Any, state: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Log-probabilities (P, K, vocabulary) of the word after `words`, int (P, K); new state."""
        ...

    def keep(self, photo: Any, rows: np.ndarray) -> Any:
        """What stays the same of some of the photos, at the places `rows`."""
        ...


@dataclass(frozen=True, eq=False)
class WordChoice:
    """A word of a caption, and what the decoder saw of it and beside it.

    probability: of the word, given those before it; likeliest: (word, probability) of the words
    that fit best there, best first; attention: weights (side, side) that sum to 1, or None.
    """

    word: str
    probability: float
    likeliest: list[tuple[str, float]]
    attention: np.ndarray | None


class CaptionDecoder:
    """Decodes captions of photos from their vectors, and grids where the model reads them.

    trained_model: the first of the models that decide together; its decoding defaults hold;
    judges: what chooses among a beam's captions beside their probability.
    """

    def __init__(
        self, trained_model: ModelFolder, steps: Steps, judges: Judges | None = None
    ) -> None:
        self.trained_model = trained_model
        self.reads_grids = steps.reads_grids
        self.attends = steps.attends
        self._steps = steps
        self._judges = judges or Judges()

    def settings(self, **decoding: Any) -> DecodingSettings:
        """How to decode, the model's own way where nothing is asked for.

        decoding: the fields of `DecodingOptions`. Raises `CaptioningError` when a critic or
        neighbours are asked for and there are none.
        """
        model, asked = self.trained_model, DecodingOptions(**decoding)
        settings = asked.resolve(
            model.decoding, model.tokenizer, model.max_length, self.reads_grids
        )
        return self._judges.settle(settings, asked, str(model.folder))

    def decode(
        self,
        vectors: np.ndarray,
        grids: np.ndarray | None = None,
        others: Sequence[Seen] = (),
        **decoding: Any,
    ) -> list[list[Hypothesis]]:
        """Hypotheses, best first, for each photo.

        vectors: float32 (photos, D); grids: (photos, views, regions, D), for models that read
        them; others: what the other encoders saw, where the models have several; decoding: as in
        `settings`. Raises `CaptioningError` when what the model computes is not finite.
        """
        return self.decode_with(self.settings(**decoding), vectors, grids, others=others)

    def decode_with(
        self,
        settings: DecodingSettings,
        vectors: np.ndarray,
        grids: np.ndarray | None = None,
        watch: Watch | None = None,
        others: Sequence[Seen] = (),
    ) -> list[list[Hypothesis]]:
        """As `decode`, with settings that are resolved already.

        watch: is shown what the beam keeps, step by step, of the photos that are left.
        """
        found: list[list[Hypothesis]] = []
        # Memory grows with photos * hypotheses * views: the product stays about the same.
        width = max(HYPOTHESES_AT_ONCE, settings.beam * max(1, settings.views))
        at_once = max(1, VECTORS_AT_ONCE * HYPOTHESES_AT_ONCE // width)
        for start in range(0, len(vectors), at_once):
            part = slice(start, start + at_once)
            seen = [_some(one, part) for one in (Seen(vectors, grids), *others)]
            found += self._decode_batch(settings, seen, watch)
        # Not finite weights don't stop a search: greedy's totals become NaN, a beam finds nothing.
        if not all(own and not math.isnan(own[0].score) for own in found):
            raise CaptioningError(
                f"what the model in {self.trained_model.folder} computes is not finite: its "
                "weights are damaged; train it again"
            )
        by_encoder = [vectors, *(one.vectors for one in others)]
        return self._judges.choose(found, by_encoder, settings, self.text)

    def _decode_batch(
        self,
        settings: DecodingSettings,
        seen: Sequence[Seen],
        watch: Watch | None,
    ) -> list[list[Hypothesis]]:
        photo, state = self._steps.begin(*seen[0], seen[1:])

        def step(words: np.ndarray, state: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
            return self._steps.step(words, photo, state)

        def keep(rows: np.ndarray) -> None:
            nonlocal photo  # `step` reads it: from now on it is called with these photos alone
            photo = self._steps.keep(photo, rows)

        return search(step, state, len(seen[0].vectors), settings, keep, watch)

    def attention(
        self,
        vectors: np.ndarray,
        grids: np.ndarray | None,
        captions: Sequence[str],
        others: Sequence[Seen] = (),
    ) -> list[np.ndarray] | None:
        """The attention weights for each word of a clean caption, one caption a photo.

        For each photo an array (words, side, side) of weights that sum to 1 over the grid; None
        for models without attention. vectors, grids, others: as in `decode`.
        """
        if not self.attends:
            return None
        rows = [self.trained_model.tokenizer.encode(caption) for caption in captions]
        side = self.trained_model.encoder["grid_side"]
        weights = []  # of each step, (photos, side, side)
        for _ in self._given_steps([Seen(vectors, grids), *others], rows):
            if self._steps.attention is None:
                raise ValueError("a decoder that reads grids gave no attention weights")
            weights.append(self._steps.attention[:, 0].reshape(-1, side, side))
        # Shorter captions went on with padding: their weights past the end are dropped.
        return [np.stack([w[i] for w in weights[: len(row)]]) for i, row in enumerate(rows)]

    def word_choices(
        self, vector: np.ndarray, grid: np.ndarray | None, caption: str, count: int
    ) -> list[WordChoice]:
        """For each word of a clean caption of one photo: where the decoder looked, what else fits.

        vector: float32 (D,); grid: (views, regions, D), or None; count: so many of the likeliest
        words at its place, given the words before it.
        """
        tokenizer = self.trained_model.tokenizer
        seen = [Seen(vector[None], None if grid is None else grid[None])]
        row = tokenizer.encode(caption)
        side = self.trained_model.encoder["grid_side"] if self.reads_grids else 0
        choices = []
        steps = self._given_steps(seen, [row])
        for word, token, step in zip(caption.split(), row, steps, strict=True):
            log_probabilities = step[0, 0]  # (vocabulary,)
            attention = self._steps.attention
            order = np.argsort(-log_probabilities)[: count + len(MARKERS)].tolist()
            likeliest = [
                (tokenizer.shown(other), math.exp(log_probabilities[other]))
                for other in order
                if other >= len(MARKERS)
            ]
            choices.append(
                WordChoice(
                    word,
                    math.exp(log_probabilities[token]),
                    likeliest[:count],
                    None if attention is None else attention[0, 0].reshape(side, side),
                )
            )
        return choices

    def _given_steps(self, seen: Sequence[Seen], rows: list[list[int]]) -> Iterator[np.ndarray]:
        """The log-probabilities (photos, 1, vocabulary) before each word of given captions.

        rows: the tokens of a caption for each photo. While a step's result is looked at, the
        attention of the steps is that with which this word was chosen: the first step's, after
        <start>, belongs to the first word.
        """
        photo, state = self._steps.begin(*seen[0], seen[1:])
        words = np.full((len(rows), 1), START, np.int32)
        for position in range(max(map(len, rows), default=0)):
            log_probabilities, state = self._steps.step(words, photo, state)
            yield log_probabilities
            given = [row[position] if position < len(row) else PADDING for row in rows]
            words = np.array(given, np.int32)[:, None]

    def text(self, hypothesis: Hypothesis) -> str:
        """The words of a hypothesis."""
        return self.trained_model.tokenizer.decode(hypothesis.tokens)


def _some(seen: Seen, part: slice) -> Seen:
    """What was seen of some of the photos."""
    return Seen(seen.vectors[part], None if seen.grids is None else seen.grids[part])
