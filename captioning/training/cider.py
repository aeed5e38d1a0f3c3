"""CIDEr-D of many captions of the same photos, fast enough to be a reward during training.

Vedantam et al. 2015, https://arxiv.org/abs/1411.5726. The same numbers as pycocoevalcap's, which
would prepare the references again at each call and only takes captions as text.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

LONGEST = 4
"""N-grams of one to four words count."""


SIGMA = 6.0
"""The penalty for a difference in length is a factor exp(-difference**2 / (2 * SIGMA**2))."""


class CiderD:
    """The references of photos, prepared to score captions of them.

    references: for each photo its captions, each a sequence of words (or their numbers). The
    document frequencies of n-grams are counted over these references, a photo a document.
    """

    def __init__(self, references: Sequence[Sequence[Sequence]]) -> None:
        counted = [[_ngrams(caption) for caption in captions] for captions in references]
        document_frequencies = Counter(
            ngram for captions in counted for ngram in {n for c in captions for n in c}
        )
        log_photos = float(np.log(len(references)))
        self._max_idf = log_photos  # of an n-gram in no reference: its frequency counts as one
        self._idf = {
            ngram: log_photos - float(np.log(count))
            for ngram, count in document_frequencies.items()
        }
        self._references = [[self._weigh(caption) for caption in own] for own in counted]

    def score(self, photo: int, caption: Sequence) -> float:
        """The CIDEr-D, 0 to 10, of a caption of the photo at that position of the references."""
        weights, norms, length = self._weigh(_ngrams(caption))
        total = 0.0
        for reference, reference_norms, reference_length in self._references[photo]:
            products = [0.0] * LONGEST
            for ngram, weight in weights.items():
                other = reference.get(ngram)
                if other is not None:
                    # Clipped to the reference's weight (the D of CIDEr-D): to repeat a rare word
                    # gains nothing.
                    products[len(ngram) - 1] += min(weight, other) * other
            similarity = sum(
                product / (own * other)
                for product, own, other in zip(products, norms, reference_norms, strict=True)
                if own and other
            )
            difference = length - reference_length
            total += similarity * float(np.exp(-(difference**2) / (2 * SIGMA**2)))
        return 10.0 * total / LONGEST / len(self._references[photo])

    def _weigh(self, counts: Counter) -> tuple[dict, list[float], int]:
        """TF-IDF weights of n-grams, their norm for each n, and the caption's length.

        As in pycocoevalcap, the length is the number of word pairs: a caption of one word has
        length 0.
        """
        weights = {
            ngram: count * self._idf.get(ngram, self._max_idf) for ngram, count in counts.items()
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
