"""How like a photo is to those that a model learned from, by the distances of their vectors.

A model is as sure of a photo unlike any that it learned from as of others, so the score of a
caption doesn't tell when not to trust it. The distance to the nearest training photos does: deep
nearest neighbours, Sun et al. 2022 (https://arxiv.org/abs/2204.06507, section 3).

`familiarity.npz` in a model's folder holds numbers alone, five arrays in a zip, at most 3 MB.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from captioning.errors import CaptioningError, command_line
from captioning.files.arrays import check_shapes, read_arrays, write_arrays
from captioning.inference.directions import unit_length

FAMILIARITY = "familiarity.npz"

UNFAMILIAR = 0.02
"""A photo is marked as unlike the training photos if its share is below: 98% of dev's are not."""

COMPONENTS = 256
"""The most numbers that are kept of a photo."""

MOST_PHOTOS = 8000
"""The most training photos that are kept, and dev photos that are compared with them.

A row of 256 numbers with the length 127 has 5 bits of information a number at the most, so 8,000
rows take 1.3 MB when compressed; the components of an encoder of 2,048 numbers take 1 MB.
"""

NEAREST = 5
"""So many of the nearest training photos count."""

LARGEST = 4 << 20
"""A file, or an array in it, of more bytes is refused before it is read."""

TYPES = {
    "mean": np.float32,
    "scale": np.float32,
    "components": np.float16,
    "neighbours": np.int8,
    "dev": np.float32,
}
"""The arrays of the file."""

AT_ONCE = 500
"""Photos that are compared with all training photos side by side."""


@dataclass(frozen=True, eq=False)
class Familiarity:
    """What is kept of the training photos to compare others with them.

    mean, scale: float32 (D,), of the encoder's vectors over the training photos; components:
    float16 (D, K), the directions in which standardised vectors differ most (PCA), K at most
    `COMPONENTS`; neighbours: int8 (N, K), the training photos' vectors by these components, their
    length 127; dev: float32 (M,), the similarities of the dev photos, ascending.
    """

    mean: np.ndarray
    scale: np.ndarray
    components: np.ndarray
    neighbours: np.ndarray
    dev: np.ndarray

    @classmethod
    def fit(cls, train: np.ndarray, dev: np.ndarray) -> "Familiarity":
        """From the vectors of the training photos, float32 (N, D), and the dev photos (M, D).

        Of more than `MOST_PHOTOS` so many are taken, evenly; vectors that aren't finite are left
        out. Raises nothing, so that no training fails at its end: where no two training photos
        differ, nothing can be told apart, and any photo has the share 1.
        """
        train, dev = _usable(train), _usable(dev)
        mean = train.mean(axis=0, dtype=np.float64)  # (D,)
        scale = train.std(axis=0, dtype=np.float64).astype(np.float32)  # (D,)
        # A number that is the same in all photos: don't divide by nothing.
        scale[~(scale > 1e-6 * scale.max())] = 1
        standardised = (train - mean) / scale  # (N, D)
        # The covariance's eigenvectors are the principal components; `eigh` gives the largest last.
        variances, directions = np.linalg.eigh(standardised.T @ standardised)  # (D,), (D, D)
        # Fewer photos than numbers span fewer directions: the others are noise of the rounding.
        spanned = int((variances > 1e-9 * variances[-1]).sum())
        count = max(1, min(COMPONENTS, spanned))
        components = directions[:, : -count - 1 : -1]  # (D, K), largest variance first
        found = cls(
            mean.astype(np.float32),
            scale,
            components.astype(np.float16),
            np.zeros((1, count), np.int8),
            np.zeros(1, np.float32),
        )
        rows = np.rint(127 * found._reduced(train)).astype(np.int8)  # (N, K)
        found = replace(found, neighbours=rows)
        return replace(found, dev=np.sort(found.similarity(dev)).astype(np.float32))

    def extended(self, train: np.ndarray, dev: np.ndarray) -> "Familiarity":
        """With further training photos' vectors, float32 (N, D), and further dev photos' (M, D).

        A training photo that is among those kept already counts once; of more than `MOST_PHOTOS`
        so many are taken, evenly. The components stay: they are of the photos it was made of.
        """
        known = set(map(bytes, self.neighbours))
        rows = np.rint(127 * self._reduced(_usable(train))).astype(np.int8)  # (N, K)
        new = np.array([row for row in rows if bytes(row) not in known], np.int8)
        if not len(new):
            return self
        found = replace(self, neighbours=_evenly(np.concatenate([self.neighbours, new])))
        similarities = [self.dev, found.similarity(_usable(dev)).astype(np.float32)]
        return replace(found, dev=_evenly(np.sort(np.concatenate(similarities))))

    def similarity(self, vectors: np.ndarray) -> np.ndarray:
        """The mean cosine of photos to their `NEAREST` nearest training photos, -1 to 1.

        vectors: (photos, D), finite. Gives float32 (photos,).
        """
        count = min(NEAREST, len(self.neighbours))
        similarities = np.zeros(len(vectors), np.float32)
        for start in range(0, len(vectors), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            reduced = self._reduced(vectors[part]).astype(np.float32)  # (photos, K)
            cosines = reduced @ self._neighbours.T  # (photos, N)
            nearest = np.partition(cosines, -count, axis=1)[:, -count:]  # (photos, nearest)
            similarities[part] = nearest.mean(axis=1)
        # The last bits depend on how many photos are compared at once; equal photos must be equal.
        return similarities.round(5)

    def of(self, vectors: np.ndarray) -> np.ndarray:
        """The share of the dev photos that are no more like the training photos than these.

        vectors: (photos, D), finite. Gives float64 (photos,), 0 to 1: a photo that the training
        photos resemble as usual has any share, one below `UNFAMILIAR` is unlike them.
        """
        places = np.searchsorted(self.dev, self.similarity(vectors), side="right")
        return places / len(self.dev)

    @cached_property
    def _neighbours(self) -> np.ndarray:
        """The training photos by the components, each of length 1: float32 (N, K)."""
        return unit_length(self.neighbours.astype(np.float32))

    def _reduced(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (photos, D) by the components, each of length 1: float64 (photos, K)."""
        # In float64: no finite float32 vector and no finite scale is too large to be squared.
        standardised = (vectors - self.mean.astype(np.float64)) / self.scale  # (photos, D)
        return unit_length(standardised @ self.components.astype(np.float64))  # (photos, K)


def is_unfamiliar(familiar: float | None) -> bool:
    """Whether a photo with this share is to be marked; None, unknown, is not."""
    return familiar is not None and familiar < UNFAMILIAR


def _usable(vectors: np.ndarray) -> np.ndarray:
    """At most `MOST_PHOTOS` of the finite rows, evenly.

    A row of zeros where none is finite.
    """
    finite = np.isfinite(vectors).all(axis=1)  # (photos,)
    if not finite.all():
        vectors = vectors[finite]
    if not len(vectors):
        return np.zeros((1, vectors.shape[1]), np.float32)
    return _evenly(vectors)


def _evenly(rows: np.ndarray) -> np.ndarray:
    """At most `MOST_PHOTOS` of the rows, from the first to the last at the same distance."""
    if len(rows) <= MOST_PHOTOS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, MOST_PHOTOS).astype(int)]


def write_familiarity(folder: Path, familiarity: Familiarity) -> None:
    """Write `familiarity.npz` into a model's folder; raises as `written_whole`.

    The same numbers give the same bytes.
    """
    write_arrays(Path(folder) / FAMILIARITY, {name: getattr(familiarity, name) for name in TYPES})


def read_familiarity(folder: Path, size: int) -> Familiarity | None:
    """What a model's folder keeps of its training photos; None where it keeps nothing.

    size: how many numbers the vectors of the model's encoder have. Raises `CaptioningError` when
    the file is damaged, too large, holds anything but the five arrays of `Familiarity`, or is of
    another encoder.
    """
    path = Path(folder) / FAMILIARITY
    if not path.is_file():
        return None
    try:
        arrays = read_arrays(path, TYPES, LARGEST)
        found = Familiarity(**arrays)
        _check_numbers(found, size)
    except Exception as error:  # zip, compression and NumPy errors alike
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise CaptioningError(
            f"cannot read {path}: {reason}; remove it to caption without it, or train the model "
            f"again with: {command_line('train')}"
        ) from None
    return found


def _check_numbers(found: Familiarity, size: int) -> None:
    """Raise ValueError when shapes don't fit each other or the encoder, or numbers mean nothing.

    size: how many numbers the vectors of the model's encoder have.
    """
    width = found.components.shape[-1]
    shapes = {
        "mean": (size,),
        "scale": (size,),
        "components": (size, width),
        "neighbours": (len(found.neighbours), width),
        "dev": (len(found.dev),),
    }
    check_shapes(vars(found), shapes, f"the model's encoder gives vectors of {size} numbers")
    if found.scale.min() <= 0 or (np.diff(found.dev) < 0).any():
        raise ValueError("a scale in it is not above 0, or dev is not ascending")
