"""EfficientNet-Lite in Keras, with its ImageNet weights; `efficientnet_lite` says what it is."""

import keras
import numpy as np
from keras import layers

from captioning.vision.efficientnet_lite import (
    EPSILON,
    HEAD,
    STEM,
    Block,
    Variant,
    blocks_of,
    read_weights,
    torch_name,
)


def build_efficientnet_lite(variant: Variant, size: int) -> keras.Model:
    """The network, untrained: scaled images (photos, size, size, 3) to the grids of two layers.

    Outputs: the last block's linear output, (photos, side, side, channels), and the head's,
    (photos, side, side, 1280), whose average is what the classifier reads; side is size / 32,
    rounded up.
    """
    image = layers.Input((size, size, 3), name="image")
    x = _convolution(image, STEM, 3, 2, "stem")  # (photos, size / 2, size / 2, 32)
    for block in blocks_of(variant):
        x = _block(x, block)
    head = _convolution(x, HEAD, 1, 1, "head")
    return keras.Model(image, [x, head], name="efficientnet_lite")


def _block(before: keras.KerasTensor, block: Block) -> keras.KerasTensor:
    x, name = before, block.name
    if block.wide > block.before:
        x = _convolution(x, block.wide, 1, 1, f"{name}_expand")
    x = layers.DepthwiseConv2D(
        block.kernel, block.stride, "same", use_bias=False, name=f"{name}_depthwise"
    )(x)
    x = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_depthwise_norm")(x)
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(x)
    x = _convolution(x, block.after, 1, 1, f"{name}_project", activated=False)
    return layers.Add(name=f"{name}_add")([x, before]) if block.is_added else x


def _convolution(
    x: keras.KerasTensor, channels: int, kernel: int, stride: int, name: str, activated: bool = True
) -> keras.KerasTensor:
    x = layers.Conv2D(channels, kernel, stride, "same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_norm")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if activated else x


def load_efficientnet_lite(
    variant: Variant, size: int, state: dict[str, np.ndarray] | None = None
) -> keras.Model:
    """The network of `build_efficientnet_lite` with its ImageNet weights, or those of `state`.

    state: weights by PyTorch's names. Raises `CaptioningError` when the package that brings the
    ImageNet weights is missing, damaged, or another.
    """
    network = build_efficientnet_lite(variant, size)
    state = read_weights(variant) if state is None else state
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(_weights_of(layer, state))
    return network


def load_classifier(variant: Variant) -> tuple[np.ndarray, np.ndarray]:
    """The classifier behind the head: weights (1280, 1000) and biases (1000,).

    Captioning doesn't need it; it tells whether the network reads photos as it was trained to.
    """
    state = read_weights(variant)
    return state["_fc.weight"].T, state["_fc.bias"]


def _weights_of(layer: layers.Layer, state: dict[str, np.ndarray]) -> list[np.ndarray]:
    """A layer's weights under PyTorch's names and in PyTorch's order of dimensions."""
    name = torch_name(layer.name)
    if isinstance(layer, layers.BatchNormalization):
        return [
            state[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        ]
    kernel = state[f"{name}.weight"]  # (out, in, rows, columns), or (channels, 1, rows, columns)
    if isinstance(layer, layers.DepthwiseConv2D):
        return [kernel.transpose(2, 3, 0, 1)]  # (rows, columns, channels, 1)
    return [kernel.transpose(2, 3, 1, 0)]  # (rows, columns, in, out)
