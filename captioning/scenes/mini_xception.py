"""The demo's encoder: a small network of Xception's kind, trained on rendered scenes.

Photos are encoded by an Xception that was trained on the million photos of ImageNet. Rendered
scenes need far less: 309,152 parameters and images of 96 x 96 pixels; the weights come with the
repository. The blocks and their order are Xception's (Chollet 2017, "Xception: Deep Learning with
Depthwise Separable Convolutions", https://arxiv.org/abs/1610.02357).
"""

from pathlib import Path

import keras
from keras import layers

WEIGHTS_FILE = Path(__file__).parent / "weights" / "mini-xception.weights.h5"

SIZE = 96
"""Pixels a side of the images that the weights were trained on."""


def build_mini_xception(size: int = SIZE) -> keras.Model:
    """Build the encoder, untrained: images to a grid of vectors.

    The input is a batch of images of shape (batch, size, size, 3), floats from -1 to 1. The
    output is the last convolution's grid, (batch, size / 16, size / 16, 224); its average over
    the grid is the image's vector. Raises ValueError unless 16 divides `size`.
    """
    if size < 16 or size % 16:
        raise ValueError(f"the size of the images must be a multiple of 16, not {size}")
    image = keras.Input((size, size, 3), name="image")
    grid = _normalised(layers.Conv2D(24, 3, 2, "same", use_bias=False, name="entry"), image)
    grid = layers.Activation("relu")(grid)  # (batch, size / 2, size / 2, 24)
    for channels in (48, 96, 192):  # halved three times: (batch, size / 16, size / 16, 192)
        grid = _entry_block(grid, channels)
    for number in (1, 2):
        grid = _middle_block(grid, f"middle{number}")
    exit_layer = layers.SeparableConv2D(224, 3, padding="same", use_bias=False, name="exit")
    grid = _normalised(exit_layer, grid)  # (batch, size / 16, size / 16, 224)
    grid = layers.Activation("relu", name="grid")(grid)
    return keras.Model(image, grid, name="mini_xception")


def _normalised(layer: layers.Layer, grid: keras.KerasTensor) -> keras.KerasTensor:
    """The layer and its batch normalisation; no layer has a bias, for this adds one."""
    # Momentum 0.9, not Keras' 0.99: the moving averages of a training of few steps must not
    # depend on its first ones.
    return layers.BatchNormalization(momentum=0.9, name=f"{layer.name}_norm")(layer(grid))


def _entry_block(grid: keras.KerasTensor, channels: int) -> keras.KerasTensor:
    """Two separable convolutions and a pooling, beside a strided 1 x 1 shortcut (section 4)."""
    name = f"entry{channels}"
    shortcut_layer = layers.Conv2D(channels, 1, 2, "same", use_bias=False, name=f"{name}_shortcut")
    shortcut = _normalised(shortcut_layer, grid)  # (batch, rows / 2, columns / 2, channels)
    for part in ("a", "b"):
        convolution = layers.SeparableConv2D(
            channels, 3, padding="same", use_bias=False, name=f"{name}_{part}"
        )
        grid = _normalised(convolution, grid)  # (batch, rows, columns, channels)
        if part == "a":
            grid = layers.Activation("relu")(grid)
    grid = layers.MaxPooling2D(3, 2, "same")(grid)  # (batch, rows / 2, columns / 2, channels)
    return layers.Activation("relu")(layers.Add()([grid, shortcut]))


def _middle_block(grid: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Two separable convolutions beside the identity: the shape stays."""
    channels = grid.shape[-1]
    shortcut = grid
    for part in ("a", "b"):
        convolution = layers.SeparableConv2D(
            channels, 3, padding="same", use_bias=False, name=f"{name}_{part}"
        )
        grid = _normalised(convolution, grid)
        if part == "a":
            grid = layers.Activation("relu")(grid)
    return layers.Activation("relu")(layers.Add()([grid, shortcut]))
