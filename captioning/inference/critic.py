"""A critic, which chooses among a beam's captions the one that fits the photo best.

A decoder ranks captions by how probable they are, and what is said of most photos is probable of
any. The critic learned to tell a photo's captions from those of other photos (contrastive learning,
Radford et al. 2021, https://arxiv.org/abs/2103.00020): it maps a photo's vector and the words of a
caption, in any order, to vectors of length 1, whose cosine is high where they belong together. That
rewards what is said of this photo alone. Reranking a beam with such a model: Faghri et al. 2018
(https://arxiv.org/abs/1707.05612) for the matching, Devlin et al. 2015
(https://arxiv.org/abs/1505.04467) for the reranking.

`critic.npz` in a model's folder holds its weights. It's small enough for NumPy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from captioning.errors import CaptioningError, command_line
from captioning.files.arrays import check_shapes, read_arrays, write_arrays
from captioning.inference.directions import unit_length

CRITIC = "critic.npz"

LARGEST = 32 << 20
"""A file, or an array in it, of more bytes is refused before it is read."""

TYPES = {
    "mean": np.float32,
    "scale": np.float32,
    "hidden": np.float16,
    "hidden_bias": np.float32,
    "photo": np.float16,
    "photo_bias": np.float32,
    "words": np.float16,
    "caption_bias": np.float32,
}
"""The arrays of the file."""


@dataclass(frozen=True, eq=False)
class Critic:
    """The weights of a critic of vectors of D numbers and a vocabulary of V tokens.

    mean, scale: (D,), of the training photos' vectors; hidden: (D, H) and hidden_bias: (H,), a
    layer with rectified outputs; photo: (H, K) and photo_bias: (K,); words: (V, K), a vector for
    each token; caption_bias: (K,).
    """

    mean: np.ndarray
    scale: np.ndarray
    hidden: np.ndarray
    hidden_bias: np.ndarray
    photo: np.ndarray
    photo_bias: np.ndarray
    words: np.ndarray
    caption_bias: np.ndarray

    def photos(self, vectors: np.ndarray) -> np.ndarray:
        """Photos as the critic sees them. vectors: (photos, D). Gives (photos, K), of length 1."""
        x = (vectors - self.mean) / self.scale  # (photos, D)
        x = np.maximum(x @ self.hidden.astype(np.float32) + self.hidden_bias, 0)  # (photos, H)
        return unit_length(x @ self.photo.astype(np.float32) + self.photo_bias)  # (photos, K)

    def captions(self, captions: Sequence[Sequence[int]]) -> np.ndarray:
        """Captions as the critic reads them, the order of words left aside.

        captions: tokens without markers. Gives (captions, K), of length 1.
        """
        means = [
            self.words[list(tokens)].mean(axis=0, dtype=np.float32) if tokens else 0 * self.words[0]
            for tokens in captions
        ]
        return unit_length(np.array(means, np.float32) + self.caption_bias)  # (captions, K)

    def cosines(
        self, vectors: np.ndarray, captions: Sequence[Sequence[Sequence[int]]]
    ) -> list[np.ndarray]:
        """How well captions fit their photo, -1 to 1: for each photo (captions,).

        vectors: (photos, D); captions: of each photo its captions' tokens.
        """
        seen = self.photos(vectors)  # (photos, K)
        return [self.captions(own) @ photo for photo, own in zip(seen, captions, strict=True)]


def write_critic(folder: Path, critic: Critic) -> None:
    """Write `critic.npz` into a model's folder; raises as `written_whole`."""
    arrays = {name: getattr(critic, name).astype(kind) for name, kind in TYPES.items()}
    write_arrays(Path(folder) / CRITIC, arrays, compressed=False)


def read_critic(folder: Path, vector_size: int, vocabulary: int) -> Critic | None:
    """The critic of a model's folder; None where it has none.

    vector_size, vocabulary: of the model. Raises `CaptioningError` when the file is damaged, holds
    anything but the arrays of `Critic`, or is of another model.
    """
    path = Path(folder) / CRITIC
    if not path.is_file():
        return None
    try:
        found = Critic(**read_arrays(path, TYPES, LARGEST))
        _check_numbers(found, vector_size, vocabulary)
    except Exception as error:  # zip, compression and NumPy errors alike
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise CaptioningError(
            f"cannot read {path}: {reason}; remove it to caption without it, or train it again "
            f"with: {command_line('train')} --critic {folder}"
        ) from None
    return found


def _check_numbers(found: Critic, vector_size: int, vocabulary: int) -> None:
    """Raise ValueError when shapes don't fit each other or the model, or numbers mean nothing."""
    width, size = found.hidden.shape[-1], found.photo.shape[-1]
    shapes = {
        "mean": (vector_size,),
        "scale": (vector_size,),
        "hidden": (vector_size, width),
        "hidden_bias": (width,),
        "photo": (width, size),
        "photo_bias": (size,),
        "words": (vocabulary, size),
        "caption_bias": (size,),
    }
    why = f"the model has vectors of {vector_size} numbers and a vocabulary of {vocabulary} tokens"
    check_shapes(vars(found), shapes, why)
    if found.scale.min() <= 0:
        raise ValueError("a scale in it is not above 0")
