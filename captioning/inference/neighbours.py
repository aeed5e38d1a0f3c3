"""The captions of the nearest training photos, with which a beam's captions are compared.

What people said of photos that look like this one is likely to be said of it, too: of a beam's
captions the one that agrees most with them is taken (Devlin et al. 2015,
https://arxiv.org/abs/1505.04467; Mao et al. 2015, https://arxiv.org/abs/1412.6632, section 7).
Photos are near where their standardised vectors point the same way; captions agree by CIDEr-D.

It needs the training data, vectors and captions: a model's folder carries no one's captions.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from captioning.data.cider import NgramWeights, WeighedCaption, count_ngrams, similarities
from captioning.data.prepared import Prepared
from captioning.inference.directions import unit_length

NEAREST = 30
"""So many photos' captions are compared with. Chosen on dev, with the next one."""

MOST_ALIKE = 50
"""Of their captions so many count, those that a caption is most like: it may say one thing that
can be said of the photo, and others another (Devlin et al. 2015)."""

SAME_PHOTO = 0.95
"""From this cosine on it's the same photo, whose own captions don't count.

With EfficientNet-Lite2 and Xception, vectors of one photo made in float32 and in bfloat16 have 0.96
at least; those of two photos, of the same scene even, 0.93 at the most.
"""

COUNTED = 2000
"""The n-grams of so many photos' captions tell how rare each is: more take longer, and tell little
more."""


class Neighbours:
    """The training photos of prepared data, to be compared with.

    prepared: by the model's encoder.
    """

    def __init__(self, prepared: Prepared) -> None:
        self._names = prepared.splits["train"]
        self._captions = prepared.captions
        vectors = prepared.features.matrix(self._names)  # (N, D)
        self._mean, self._scale = vectors.mean(axis=0), vectors.std(axis=0)  # (D,)
        self._scale[~(self._scale > 1e-6 * self._scale.max())] = 1  # the same in all photos
        self._photos = self._directions(vectors)  # (N, D)
        self._weighed: dict[int, list[WeighedCaption]] = {}

    def consensus(self, vectors: np.ndarray, captions: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """How much captions agree with those of the nearest photos, 0 to 1: of each photo an array.

        vectors: (photos, D); captions: of each photo, clean. 0 where all photos are the same one.
        """
        cosines = self._directions(vectors) @ self._photos.T  # (photos, N)
        return [
            self._agreement(own, self._nearest(row))
            for own, row in zip(captions, cosines, strict=True)
        ]

    def _nearest(self, cosines: np.ndarray) -> list[WeighedCaption]:
        """The captions of a photo's nearest ones. cosines: to all of them, (N,)."""
        other = np.flatnonzero(cosines < SAME_PHOTO)
        nearest = other[np.argsort(-cosines[other], kind="stable")[:NEAREST]]
        return [caption for place in nearest.tolist() for caption in self._captions_of(place)]

    def _captions_of(self, place: int) -> list[WeighedCaption]:
        if place not in self._weighed:
            own = self._captions[self._names[place]]
            self._weighed[place] = [self._weigh(caption) for caption in own]
        return self._weighed[place]

    def _agreement(self, captions: Sequence[str], near: list[WeighedCaption]) -> np.ndarray:
        """Of each caption, (captions,)."""
        if not near:
            return np.zeros(len(captions))
        alike = similarities([self._weigh(caption) for caption in captions], near)
        return np.sort(alike, axis=1)[:, -MOST_ALIKE:].mean(axis=1)

    def _weigh(self, caption: str) -> WeighedCaption:
        return self._ngrams.weigh(count_ngrams(caption.split()))

    @cached_property
    def _ngrams(self) -> NgramWeights:
        """How rare each n-gram is, by photos from the first to the last at the same distance."""
        names = self._names[:: -(-len(self._names) // COUNTED)]
        return NgramWeights([[count_ngrams(c.split()) for c in self._captions[n]] for n in names])

    def _directions(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors, (photos, D), standardised as the training photos' are, of length 1."""
        return unit_length((vectors - self._mean) / self._scale)  # (photos, D)
