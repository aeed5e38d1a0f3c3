"""CIDEr-D of many captions of the same photos, fast: the reward of self-critical training.

Vedantam et al. 2015, https://arxiv.org/abs/1411.5726. The same numbers as pycocoevalcap's, which
prepares the references anew for each call and takes words apart by text.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

LONGEST = 4
"""N-grams of one to four words count."""


SIGMA = 6.0
"""How fast a difference in length costs: a factor exp(-difference**2 / (2 * SIGMA**2))."""


class CiderD:
    """The references of photos, ready to score captions of them.

    references: for each photo its captions, each a sequence of words (or their numbers). How
    rare an n-gram is, is counted over these references.
    """

    def __init__(self, references: Sequence[Sequence[Sequence]]) -> None:
        counted = [[_ngrams(caption) for caption in captions] for captions in references]
        in_photos = Counter(
            ngram for captions in counted for ngram in {n for c in captions for n in c}
        )
        photos = np.log(len(references))
        self._rarest = photos
        self._rarity = {ngram: photos - np.log(count) for ngram, count in in_photos.items()}
        self._references = [[self._weigh(caption) for caption in own] for own in counted]

    def score(self, photo: int, caption: Sequence) -> float:
        """The CIDEr-D of a caption of the photo with that place, 0 to 10."""
        weights, norms, length = self._weigh(_ngrams(caption))
        total = 0.0
        for reference, reference_norms, reference_length in self._references[photo]:
            shared = [0.0] * LONGEST
            for ngram, weight in weights.items():
                other = reference.get(ngram)
                if other is not None:
                    shared[len(ngram) - 1] += min(weight, other) * other
            likeness = sum(
                part / (own * other)
                for part, own, other in zip(shared, norms, reference_norms, strict=True)
                if own and other
            )
            difference = length - reference_length
            total += likeness * np.exp(-(difference**2) / (2 * SIGMA**2))
        return 10.0 * total / LONGEST / len(self._references[photo])

    def _weigh(self, counts: Counter) -> tuple[dict, list[float], int]:
        """TF-IDF weights of n-grams, their norm for each n, and the number of word pairs.

        The original takes the pairs for the length, so a caption of one word has length 0.
        """
        weights = {
            ngram: count * self._rarity.get(ngram, self._rarest) for ngram, count in counts.items()
        }
        squares = [0.0] * LONGEST
        for ngram, weight in weights.items():
            squares[len(ngram) - 1] += weight * weight
        pairs = sum(count for ngram, count in counts.items() if len(ngram) == 2)
        return weights, [square**0.5 for square in squares], pairs


def _ngrams(caption: Iterable) -> Counter:
    words = tuple(caption)
    return Counter(
        words[start : start + n]
        for n in range(1, LONGEST + 1)
        for start in range(len(words) - n + 1)
    )
