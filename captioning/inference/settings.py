"""How to decode, as values: what `search` follows, checked where people name them."""

from dataclasses import dataclass

from captioning.data.text import PADDING, START, UNKNOWN

WIDEST_BEAM, STEEPEST = 1000, 100
"""The most that a beam and a length power may be: wider ones fill any memory."""

SUPPRESSED = (PADDING, START, UNKNOWN)


@dataclass(frozen=True)
class DecodingSettings:
    """How to decode. beam: 1 is greedy; max_words: of a caption; views: of each photo, for the
    decoders that look, the mean over them decides; the rest as in `beam_search`.
    """

    beam: int
    length_power: float
    max_words: int
    no_repeat: int = 0
    never: tuple[int, ...] = SUPPRESSED
    views: int = 1

    def __str__(self) -> str:
        views = f", {self.views} views a photo" if self.views > 1 else ""
        rule = f", no {self.no_repeat} words twice" if self.no_repeat else ""
        if self.beam == 1 and not self.no_repeat:
            return f"greedy{views}"
        return f"beam {self.beam}, length power {self.length_power}{rule}{views}"
