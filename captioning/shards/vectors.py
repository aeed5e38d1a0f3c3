"""Vectors and grids of photos, as arrays: what workers make for `features --shards`."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from captioning.backend import import_keras
from captioning.errors import CaptioningError
from captioning.files.onnx_session import use_threads
from captioning.inference.description import read_description
from captioning.shards.work import Made
from captioning.vision.batches import encode_views, read_batches
from captioning.vision.efficientnet_lite import VARIANTS
from captioning.vision.encoders import (
    ENCODERS,
    LITE,
    PhotoEncoder,
    check_encoder,
    grid_shape,
    load_encoder,
)
from captioning.vision.images import MAX_PIXELS
from captioning.vision.onnx_encoder import ENCODER, load_onnx_encoder
from captioning.vision.own_weights import own_weights_of
from captioning.vision.packed import Photo
from captioning.vision.sharded_features import GRIDS, VECTORS


@dataclass(frozen=True)
class FeaturesTask:
    """A `Task`: the vectors of an encoder, and grids of so many views (0: none).

    signature: (name, value) of the encoder's, with its weights' fingerprint; runtime: "onnx" or
    "keras"; weights, precision: as in `load_encoder`; model: a folder that may hold the exported
    encoder, "" without.
    """

    signature: tuple[tuple[str, Any], ...]
    views: int = 0
    max_pixels: int = MAX_PIXELS
    runtime: str = "onnx"
    weights: str = "imagenet"
    precision: str = "float32"
    model: str = ""

    def settings(self) -> dict[str, Any]:
        """All that the vectors depend on."""
        return {
            "task": "features",
            "model": dict(self.signature),
            "views": self.views,
            "max_pixels": self.max_pixels,
            "runtime": self.runtime,
            "precision": self.precision,
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """The names in a row."""
        return ("key", "error")

    def load(self) -> "VectorMaker":
        """Load the encoder, computing with one thread. Raises `CaptioningError` if it's another."""
        encoder = self._encoder()
        if encoder.signature() != dict(self.signature):
            raise CaptioningError(
                f"the weights of {encoder.settings.name} here aren't those that this run began "
                "with; put the same on each machine"
            )
        # From the first photo on, so that the same photo gives the same bits.
        encoder.compiled = True
        return VectorMaker(self, encoder)

    def _encoder(self) -> PhotoEncoder:
        if self.runtime == "onnx":
            use_threads(1)
            # A folder that isn't there: the weights come by a package.
            return load_onnx_encoder(dict(self.signature), Path(self.model or "no model"))
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
        import_keras()
        return load_encoder(dict(self.signature)["name"], self.weights, self.precision)


def features_task(
    name: str, weights: str, precision: str, views: int, max_pixels: int, model: str = ""
) -> FeaturesTask:
    """The task of an encoder: by ONNX Runtime where it can be, otherwise by Keras.

    model: a folder whose encoder it is, "" without; the others as in `load_encoder`. Raises
    `CaptioningError` for an unknown encoder, and for weights that can't be had or read.
    """
    check_encoder(name, weights)
    own = own_weights_of(Path(model), name) if model else None
    is_own = own is not None and Path(weights).exists() and own.samefile(weights)
    if precision != "bfloat16" and (weights == "imagenet" or is_own):
        signature: dict[str, Any] = {}
        if own:
            signature = read_description(Path(model))["encoder"]
        elif name in LITE:
            signature = {**ENCODERS[name].as_dict(), "weights": VARIANTS[name].fingerprint}
        elif model and (Path(model) / ENCODER).is_file():
            signature = read_description(Path(model))["encoder"]
        if signature:
            made_by = tuple(signature.items())
            return FeaturesTask(made_by, views, max_pixels, model=model)
    import_keras()
    encoder = load_encoder(name, weights, precision)
    made_by = tuple(encoder.signature().items())
    return FeaturesTask(made_by, views, max_pixels, "keras", weights, encoder.precision)


class VectorMaker:
    """A `Maker` of vectors (photos, D), float32, and grids (photos, views, regions, D), float16."""

    def __init__(self, task: FeaturesTask, encoder: PhotoEncoder) -> None:
        self._task, self._encoder = task, encoder

    def make(self, keys: list[str], photos: list[Photo]) -> Made:
        """A row a photo, its key and error; arrays of those without an error, in their order."""
        failed: dict[Photo, str] = {}
        size = self._encoder.settings.size
        arrays = self._empty()
        for _, pixels in read_batches(photos, size, len(photos), failed, self._task.max_pixels):
            vectors, grids = encode_views(self._encoder, pixels, self._task.views)
            arrays[VECTORS] = vectors.astype(np.float32)
            if grids is not None:
                arrays[GRIDS] = grids.astype(np.float16)
        rows = [
            {"key": key, "error": failed.get(photo)}
            for key, photo in zip(keys, photos, strict=True)
        ]
        return rows, arrays

    def _empty(self) -> dict[str, np.ndarray]:
        settings = self._encoder.settings
        arrays = {VECTORS: np.empty((0, settings.vector_size), np.float32)}
        if self._task.views:
            shape = (0, self._task.views, *grid_shape(settings.as_dict()))
            arrays[GRIDS] = np.empty(shape, np.float16)
        return arrays
