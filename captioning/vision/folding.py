"""A trained network that computes less: its normalisations folded into its convolutions.

In prediction a batch normalisation multiplies each channel by a number and adds another. The
kernel of the convolution before it can do the one and its bias the other, so that the large grids
between them are neither written nor read again, which takes longer than the arithmetic.
"""

from typing import Any

import keras
import numpy as np
from keras import layers


def fold_normalisation(network: keras.Model) -> keras.Model:
    """Another network with the same output in prediction, less the normalisations that can go.

    A `BatchNormalization` goes when it is all that follows a linear `Conv2D` or
    `SeparableConv2D` (Jacob et al. 2018, https://arxiv.org/abs/1712.05877, section 3.2); the
    convolution's bias takes its part. The layers that stay keep their names, and the given network
    stays as it is.
    """
    pairs = _pairs(network)
    normalisations = {norm.name for _, norm in pairs}
    weights = {layer.name: _one_for_both(layer, norm) for layer, norm in pairs}

    def cloned(layer: Any) -> Any:
        own = layer.get_config()
        return type(layer).from_config(own | {"use_bias": True} if layer.name in weights else own)

    def called(layer: Any, *inputs: Any, **options: Any) -> Any:
        return inputs[0] if layer.name in normalisations else layer(*inputs, **options)

    copy = keras.models.clone_model(network, clone_function=cloned, call_function=called)
    for layer in copy.layers:
        if layer.weights:
            own = network.get_layer(layer.name)
            layer.set_weights(weights.get(layer.name) or own.get_weights())
    return copy


def _pairs(network: keras.Model) -> list[tuple[Any, Any]]:
    """Convolutions and the normalisations that alone follow them."""
    follow: dict[int, list[Any]] = {}
    for layer in network.layers:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        for tensor in inputs:
            follow.setdefault(id(tensor), []).append(layer)
    found = []
    for layer in network.layers:
        if type(layer) not in (layers.Conv2D, layers.SeparableConv2D):
            continue
        after = follow.get(id(layer.output), [])
        alone = len(after) == 1 and not any(layer.output is out for out in network.outputs)
        linear = layer.activation is keras.activations.linear
        if alone and linear and isinstance(after[0], layers.BatchNormalization):
            found.append((layer, after[0]))
    return found


def _one_for_both(layer: Any, norm: Any) -> list[np.ndarray]:
    """The weights of a convolution that does what `layer` and then `norm` do."""
    mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
    factor = 1 / np.sqrt(variance + norm.epsilon)  # (channels,)
    if norm.scale:
        factor = factor * np.asarray(norm.gamma)
    shift = -mean * factor
    if norm.center:
        shift = shift + np.asarray(norm.beta)
    *others, kernel = layer.get_weights()[: -1 if layer.use_bias else None]
    if layer.use_bias:
        shift = shift + layer.get_weights()[-1] * factor
    return [*others, kernel * factor, shift]  # the kernel's last dimension is the channels'
