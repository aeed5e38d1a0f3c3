"""An exported decoder, run word by word by ONNX Runtime: no Keras, no TensorFlow.

Two graphs, as `GridSteps` has two models. `decoder_photo.onnx` computes of vectors or grids what
stays the same through a caption (outputs `photo_0`, `photo_1`, …). `decoder_step.onnx` computes of
`words`, these and the state (`state_0`, …) the `log_probabilities`, perhaps the `attention`, and
the state after (`after_0`, …).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from captioning.errors import CaptioningError
from captioning.files.onnx_file import read_checked
from captioning.files.onnx_session import Session

PHOTO, STEP = "decoder_photo.onnx", "decoder_step.onnx"

PHOTOS, HYPOTHESES, WORDS = "photos", "hypotheses", "words"
"""Names of dimensions of any size: before any word there are one hypothesis and no words."""

WIDEST = 1 << 16
"""The most numbers of a state, a photo and a hypothesis."""


def has_graphs(folder: Path) -> bool:
    """Whether a model's folder holds an exported decoder."""
    return all((folder / name).is_file() for name in (PHOTO, STEP))


class OnnxSteps:
    """The steps of an exported decoder; the same as `ModelSteps` of the Keras model.

    folder: with the two graphs. vocabulary: how many tokens they know; photo_shape: of what they
    read of a photo, (D,) or (regions, D); notes: which model they were exported from. Raises
    `CaptioningError` when a graph is missing, damaged, or isn't a decoder's.
    """

    def __init__(self, folder: Path) -> None:
        self._photo, self._step = (
            Session(read_checked(folder / name), str(folder / name)) for name in (PHOTO, STEP)
        )
        if self._photo.notes != self._step.notes:
            raise CaptioningError(f"{PHOTO} and {STEP} in {folder} are of two models")
        self.notes = dict(self._step.notes)
        self._photo_names = _numbered("photo_", self._photo.outputs)
        self._state_names = _numbered("state_", self._step.inputs)
        self._after_names = _numbered("after_", self._step.outputs)
        self._check(folder)
        ((self._input, shape),) = self._photo.inputs.items()
        self.photo_shape = tuple(shape[1:])
        self.reads_grids = len(self.photo_shape) == 2
        self.vocabulary = self._step.outputs["log_probabilities"][-1]
        self.attention: np.ndarray | None = None

    def _check(self, folder: Path) -> None:
        wanted = {"words", *self._photo_names, *self._state_names}
        shapes = [self._step.inputs.get(name, []) for name in self._state_names]
        is_decoder = (
            len(self._photo.inputs) == 1
            and self._step.inputs.keys() == wanted
            and len(self._step.outputs.get("log_probabilities", ())) == 3
            and len(self._after_names) == len(self._state_names)
            # Zeros of these shapes are made before anything is computed.
            and all(_is_state(shape) for shape in shapes)
        )
        if not is_decoder:
            raise CaptioningError(f"{STEP} in {folder} holds no decoder's step")

    def begin(self, photos: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """What stays the same, and the state before any word: zeros.

        photos: vectors (P, D) or grids (P, regions, D).
        """
        photo = self._photo.run({self._input: photos}, self._photo_names)
        sizes = {PHOTOS: len(photos), HYPOTHESES: 1, WORDS: 0}
        state = [
            np.zeros([sizes.get(side, side) for side in self._step.inputs[name]], np.float32)
            for name in self._state_names
        ]
        return photo, state

    def step(
        self, words: np.ndarray, photo: list[np.ndarray], state: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Log-probabilities (P, K, vocabulary) of the word after `words`, int (P, K); new state."""
        inputs = {
            "words": words,
            **dict(zip(self._photo_names, photo, strict=True)),
            **dict(zip(self._state_names, state, strict=True)),
        }
        names = ["log_probabilities", *["attention"] * self.reads_grids, *self._after_names]
        found = self._step.run(inputs, names)
        if self.reads_grids:
            self.attention = found.pop(1)  # (P, K, regions)
        return found[0], found[1:]

    def keep(self, photo: list[np.ndarray], rows: np.ndarray) -> list[np.ndarray]:
        """What stays the same of some of the photos, at the places `rows`."""
        return [part[rows] for part in photo]


def _is_state(shape: Sequence[object]) -> bool:
    """(photos, hypotheses, width), or (photos, hypotheses, words, width)."""
    *before, width = shape or [None]
    return (
        before in ([PHOTOS, HYPOTHESES], [PHOTOS, HYPOTHESES, WORDS])
        and isinstance(width, int)
        and 0 < width <= WIDEST
    )


def _numbered(start: str, names: Iterable[str]) -> list[str]:
    """The names that begin so, `photo_0` before `photo_1`."""
    return sorted(name for name in names if name.startswith(start))
