"""The reward of a sampled caption in self-critical training."""

import numpy as np

from captioning.data.cider import CiderD
from captioning.data.prepared import Prepared
from captioning.data.text import END, MARKERS
from captioning.inference.critic import Critic


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


class CiderAndCriticRewards:
    """CIDEr-D and, beside it, how well a caption fits its photo as a critic sees it.

    CIDEr rewards what people often say; the critic rewards what they say of this photo and not of
    others (Luo et al. 2018, https://arxiv.org/abs/1803.04376, with a critic that was trained
    apart). vectors: of the photos, (photos, D); weight: what a cosine of 1 is worth, where CIDEr
    is 0 to 10.
    """

    def __init__(
        self, cider: CiderRewards, critic: Critic, vectors: np.ndarray, weight: float
    ) -> None:
        self._cider, self._critic, self._weight = cider, critic, weight
        self._photos = critic.photos(vectors)  # (photos, K)

    def of(self, photo: int, tokens: list[int]) -> float:
        """The reward, -weight to 10 + weight, of a caption of the photo at that position."""
        cosine = float(self._critic.captions([tokens])[0] @ self._photos[photo])
        return self._cider.of(photo, tokens) + self._weight * cosine
