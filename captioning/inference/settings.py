"""How to decode, as values: what a caller asks for, and what `search` follows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from captioning.data.text import PADDING, START, UNKNOWN, Tokenizer, clean_caption
from captioning.errors import CaptioningError

WIDEST_BEAM = 1000
"""The most that a beam may be: wider ones fill any memory."""

STEEPEST = 100
"""The most that a length power may be, up or down."""

HEAVIEST = 100
"""The most that the weight of a critic, or of neighbours, may be."""

NEIGHBOURS = 1.5
"""The weight of neighbours where none is asked for. Chosen on dev."""

SUPPRESSED = (PADDING, START, UNKNOWN)
"""Tokens that no caption may hold."""


@dataclass(frozen=True, kw_only=True)
class DecodingSettings:
    """How to decode, all of it.

    max_words: of a caption; beam: how many hypotheses of a photo go on side by side, 1 is greedy;
    length_power: hypotheses rank by log-probability / length**length_power; no_repeat: no n-gram
    of so many words comes twice in a caption, 0 for no such rule; suppressed: tokens that are
    never generated; views: so many of `views.VIEWS` of each photo decide together, for decoders
    that read grids; 0 for others; prefix: tokens that every caption begins with, even suppressed
    ones; critic: the weight of a critic's cosine beside a caption's mean log-probability, 0 for
    none; neighbours: that of the consensus with the nearest training photos' captions.
    """

    max_words: int
    beam: int = 1
    length_power: float = 0.7
    no_repeat: int = 0
    suppressed: tuple[int, ...] = SUPPRESSED
    views: int = 1
    prefix: tuple[int, ...] = ()
    critic: float = 0.0
    neighbours: float = 0.0

    def __str__(self) -> str:
        views = f", {self.views} views a photo" if self.views > 1 else ""
        rule = f", no {self.no_repeat} words twice" if self.no_repeat else ""
        if self.beam == 1 and not self.no_repeat:
            return f"greedy{views}"
        critic = f", critic {self.critic}" if self.critic else ""
        near = f", neighbours {self.neighbours}" if self.neighbours else ""
        return f"beam {self.beam}, length power {self.length_power}{rule}{views}{critic}{near}"


@dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """What a caller asks for; None, 0 or nothing leaves it to the model.

    As in `DecodingSettings`, but ban: words that are never generated, instead of tokens; prefix: a
    clean text that the caption begins with; its unknown words become <unk>.
    """

    beam: int | None = None
    length_power: float | None = None
    no_repeat: int = 0
    max_words: int | None = None
    ban: str | Iterable[str] = ()
    views: int | None = None
    prefix: str = ""
    critic: float | None = None
    neighbours: float | None = None

    def resolve(
        self, defaults: Mapping[str, Any], tokenizer: Tokenizer, max_length: int, reads_grids: bool
    ) -> DecodingSettings:
        """The settings for a model: what was asked for, and the model's own in all other things.

        defaults: "beam", "length_power", "views" and "critic" of its description; max_length: words
        of the longest caption it was trained on, which no caption exceeds. Raises `CaptioningError`
        for a prefix that is longer, and as `banned_tokens` does.
        """
        prefix = tuple(tokenizer.encode(self.prefix))
        if len(prefix) > max_length:
            raise CaptioningError(
                f"the caption begins with {len(prefix)} given words, and this model's captions "
                f"have {max_length} at the most"
            )
        return DecodingSettings(
            max_words=max(len(prefix), min(max_length, self.max_words or max_length)),
            beam=defaults["beam"] if self.beam is None else self.beam,
            length_power=(
                defaults["length_power"] if self.length_power is None else self.length_power
            ),
            no_repeat=self.no_repeat,
            suppressed=(*SUPPRESSED, *sorted(banned_tokens(self.ban, tokenizer))),
            views=(self.views or defaults.get("views", 1)) if reads_grids else 0,
            prefix=prefix,
            critic=defaults.get("critic", 0.0) if self.critic is None else self.critic,
            neighbours=NEIGHBOURS if self.neighbours is None else self.neighbours,
        )


def banned_tokens(ban: str | Iterable[str], tokenizer: Tokenizer) -> set[int]:
    """The tokens of the words that no caption may hold; empty words are skipped.

    Raises `CaptioningError` for a word that the model doesn't know, as it may be misspelt, and for
    several words in one: each of them would be banned everywhere.
    """
    words = [ban] if isinstance(ban, str) else list(ban)
    banned = set()
    for word in words:
        parts = clean_caption(word, tokenizer.cleaning).split()
        tokens = tokenizer.encode(" ".join(parts))
        if len(parts) > 1:
            raise CaptioningError(
                f"cannot ban {word!r}, which is {len(parts)} words to the model; ban single words: "
                f"{','.join(parts)}"
            )
        if UNKNOWN in tokens:
            near = get_close_matches(parts[0], tokenizer.words)
            raise CaptioningError(
                f"cannot ban {word!r}: the model knows no such word, so none of its captions has it"
                + (f"; words like it: {', '.join(near)}" if near else "")
            )
        banned.update(tokens)
    return banned
