"""Batch normalisation folded into convolutions: the same network, computed faster.

In prediction a batch normalisation multiplies each channel by a constant and adds another. The
kernel of the convolution before it can do the first and its bias the second. Then the large grids
between the two layers are neither written nor read again, which takes longer than the arithmetic.

With statistics mean, variance and parameters gamma, beta, both per output channel:
    gamma * (x * kernel - mean) / sqrt(variance + epsilon) + beta
    = x * (kernel * factor) + (beta - mean * factor),  factor = gamma / sqrt(variance + epsilon)
"""

from typing import Any

import keras
import numpy as np
from keras import layers

FOLDABLE = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)


def fold_normalisation(network: keras.Model) -> keras.Model:
    """A new network with the same output in prediction, up to rounding, and fewer layers.

    A `BatchNormalization` is folded when it alone follows a linear `Conv2D`, `DepthwiseConv2D` or
    `SeparableConv2D` (Jacob et al. 2018, https://arxiv.org/abs/1712.05877, section 3.2). The
    remaining layers keep their names, and the given network stays as it is.
    """
    pairs = _foldable_pairs(network)
    normalisations = {norm.name for _, norm in pairs}
    weights = {layer.name: _folded_weights(layer, norm) for layer, norm in pairs}

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in weights:
            config = config | {"use_bias": True}  # the bias holds the shift
        return type(layer).from_config(config)

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        # A folded normalisation is the identity: what follows it is joined to the convolution.
        return inputs[0] if layer.name in normalisations else layer(*inputs, **options)

    copy = keras.models.clone_model(network, clone_function=clone, call_function=call)
    for layer in copy.layers:
        if layer.weights:
            original = network.get_layer(layer.name)
            layer.set_weights(weights.get(layer.name) or original.get_weights())
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()  # it computes with constants made of its weights
    return copy


def _foldable_pairs(network: keras.Model) -> list[tuple[Any, Any]]:
    """Convolutions, each with the normalisation that alone follows it."""
    consumers: dict[int, list[Any]] = {}  # of each tensor, by identity
    for layer in network.layers:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        for tensor in inputs:
            consumers.setdefault(id(tensor), []).append(layer)
    pairs = []
    for layer in network.layers:
        if type(layer) not in FOLDABLE:
            continue
        after = consumers.get(id(layer.output), [])
        # Another consumer, or the network's output, needs the grid before its normalisation.
        alone = len(after) == 1 and not any(layer.output is out for out in network.outputs)
        linear = layer.activation is keras.activations.linear
        if alone and linear and isinstance(after[0], layers.BatchNormalization):
            pairs.append((layer, after[0]))
    return pairs


def _folded_weights(layer: Any, norm: Any) -> list[np.ndarray]:
    """The weights of a convolution that computes what `layer` and then `norm` compute."""
    mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
    factor = 1 / np.sqrt(variance + norm.epsilon)  # (channels,)
    if norm.scale:
        factor = factor * np.asarray(norm.gamma)
    shift = -mean * factor  # (channels,)
    if norm.center:
        shift = shift + np.asarray(norm.beta)
    # Of a separable convolution the pointwise kernel is the last; the depthwise one stays.
    *others, kernel = layer.get_weights()[: -1 if layer.use_bias else None]
    if layer.use_bias:
        shift = shift + layer.get_weights()[-1] * factor
    if isinstance(layer, layers.DepthwiseConv2D):
        # (rows, columns, channels, multiplier): each channel has outputs of its own.
        return [kernel * factor.reshape(kernel.shape[2:]), shift]
    return [*others, kernel * factor, shift]  # output channels are the kernel's last dimension
