"""The reward of a sampled caption in self-critical training."""

from captioning.data.cider import CiderD
from captioning.data.prepared import Prepared
from captioning.data.text import END, MARKERS


class CiderRewards:
    """CIDEr-D of captions of the photos `names`, with the end token as a word.

    Without the end token in captions and references, CIDEr rewards captions that stop in
    mid-sentence ("a dog in the"): their n-grams are all right. A caption of `max_words` words was
    cut off there: the decoder has not generated its end, so it gets no reward for one.
    """

    def __init__(self, prepared: Prepared, names: list[str], max_words: int) -> None:
        self._max_words = max_words
        self._word_of = prepared.tokenizer.shown
        self._end = MARKERS[END]
        references = [[[*c.split(), self._end] for c in prepared.captions[n]] for n in names]
        self._scorer = CiderD(references)

    def of(self, photo: int, tokens: list[int]) -> float:
        """The reward, 0 to 10, of a caption (token numbers) of the photo at that position."""
        end = [self._end] if len(tokens) < self._max_words else []
        return self._scorer.score(photo, [*map(self._word_of, tokens), *end])
