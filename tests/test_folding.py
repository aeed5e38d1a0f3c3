"""A network computes the same with its normalisations folded into its convolutions."""

import keras
import numpy as np
from keras import layers

from captioning.vision.folding import fold_normalisation
from captioning.vision.networks import load_network


def trained(network: keras.Model) -> keras.Model:
    """The network with random weights and moving statistics, as if it had been trained."""
    generator = np.random.default_rng(0)
    network.set_weights(
        [
            generator.uniform(0.5, 1.5, part.shape) * (1 if part.ndim == 1 else 0.1)
            for part in network.get_weights()
        ]
    )
    return network


def kinds(network: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in network.layers]


def assert_same(network: keras.Model, folded: keras.Model) -> None:
    images = np.random.default_rng(1).normal(size=(2, *network.inputs[0].shape[1:]))
    wanted, found = network.predict_on_batch(images), folded.predict_on_batch(images)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_mini_xception_computes_the_same_without_normalisations() -> None:
    network = trained(load_network("mini-xception"))
    before = [part.copy() for part in network.get_weights()]
    folded = fold_normalisation(network)
    assert "BatchNormalization" in kinds(network)
    assert "BatchNormalization" not in kinds(folded)
    assert_same(network, folded)
    for part, old in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(part, old)


def test_a_bias_and_a_norm_without_scale_or_centre_are_folded_too() -> None:
    image = keras.Input((6, 6, 3))
    x = layers.BatchNormalization(scale=False)(layers.Conv2D(4, 3)(image))
    x = layers.BatchNormalization(center=False)(layers.SeparableConv2D(5, 3)(x))
    network = trained(keras.Model(image, x))
    folded = fold_normalisation(network)
    assert "BatchNormalization" not in kinds(folded)
    assert_same(network, folded)


def test_normalisations_after_shared_or_activated_grids_stay() -> None:
    image = keras.Input((6, 6, 3))
    shared = layers.Conv2D(4, 3, padding="same")(image)
    activated = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    last = layers.Conv2D(4, 3, padding="same")(image)
    outputs = [
        layers.Add()([layers.BatchNormalization()(shared), shared]),
        layers.BatchNormalization()(activated),
        last,
        layers.BatchNormalization()(last),
    ]
    network = trained(keras.Model(image, outputs))
    folded = fold_normalisation(network)
    assert kinds(folded).count("BatchNormalization") == 3
    images = np.random.default_rng(1).normal(size=(2, 6, 6, 3))
    for wanted, found in zip(
        network.predict_on_batch(images), folded.predict_on_batch(images), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
