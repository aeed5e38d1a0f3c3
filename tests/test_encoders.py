"""Encoders that Keras has among its applications: each row of the table beside the application."""

import dataclasses
import importlib
from types import ModuleType

import keras
import numpy as np
import pytest
from keras import layers

from captioning.errors import CaptioningError
from captioning.inference.description import read_description
from captioning.vision import networks
from captioning.vision.encoders import ENCODERS, Encoder, EncoderSettings, grid_shape, load_encoder
from captioning.vision.folding import fold_normalisation

ROWS = [settings for settings in ENCODERS.values() if settings.application]

MODULES = {
    "Xception": "xception",
    "VGG16": "vgg16",
    "ResNet50": "resnet",
    "InceptionV3": "inception_v3",
    "DenseNet201": "densenet",
    **{f"EfficientNetB{number}": "efficientnet" for number in range(4)},
    "EfficientNetV2S": "efficientnet_v2",
    "MobileNetV3Large": "mobilenet_v3",
    "ConvNeXtTiny": "convnext",
}

QUICK = {"vgg16", "resnet50", "mobilenet-v3"}
"""Their layers are laid out in three seconds; all others' under the marker `nightly`."""


def module_of(settings: EncoderSettings) -> ModuleType:
    return importlib.import_module(f"keras.applications.{MODULES[settings.application]}")


def test_all_encoders_that_peoples_vectors_come_from_are_there() -> None:
    wanted = "vgg16 resnet50 inception-v3 densenet201 efficientnet-v2-s mobilenet-v3 convnext-tiny"
    assert {*wanted.split(), *(f"efficientnet-b{n}" for n in range(4))} < set(ENCODERS)
    sizes = {name: ENCODERS[name].vector_size for name in wanted.split()}
    assert list(sizes.values()) == [4096, 2048, 2048, 1920, 1280, 960, 768]


@pytest.mark.parametrize("settings", ROWS, ids=lambda settings: settings.name)
def test_pixels_are_prepared_as_the_application_does(settings: EncoderSettings) -> None:
    """What comes to the network, by one that hands it on."""
    pixels = layers.Input((4, 4, 3))
    through = keras.Model(pixels, layers.Activation("linear")(pixels))
    encoder = Encoder(dataclasses.replace(settings, size=4), through, "none")
    photos = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), np.uint8)
    wanted = module_of(settings).preprocess_input(photos.astype(np.float32))  # (3, 4, 4, 3)
    _, grids = encoder.encode_grids(photos)
    np.testing.assert_allclose(grids.reshape(wanted.shape), wanted, rtol=1e-5, atol=2e-5)


def check_layers(settings: EncoderSettings) -> None:
    # In a stateless scope variables have a shape, but take no memory.
    with keras.StatelessScope(initialize_variables=False):
        network = networks.load_application(settings.name, None)
    grid, last = network.outputs if len(network.outputs) == 2 else network.outputs * 2
    assert network.inputs[0].shape[1:] == (settings.size, settings.size, 3)
    regions, numbers = grid_shape(settings.as_dict())
    assert grid.shape[1:] == (settings.grid_side, settings.grid_side, numbers)
    assert regions == settings.grid_side**2
    assert last.shape[-1] == settings.vector_size
    if settings.layer not in ("output", "input of block14_sepconv1"):
        assert last is network.get_layer(settings.layer).output


@pytest.mark.parametrize("name", sorted(QUICK))
def test_a_networks_layers_have_the_tables_sizes(name: str) -> None:
    check_layers(ENCODERS[name])


@pytest.mark.nightly
@pytest.mark.parametrize("settings", ROWS, ids=lambda settings: settings.name)
def test_every_networks_layers_have_the_tables_sizes(settings: EncoderSettings) -> None:
    check_layers(settings)


def test_a_layers_numbers_can_be_the_vector() -> None:
    """VGG16's vectors come of a layer without positions, its grid of one before."""
    settings = EncoderSettings("vgg16", "fc2", 4, 4, 5, 1.0, 0.0, grid_size=3)
    pixels = layers.Input((4, 4, 3))
    dense = layers.Dense(5)(layers.Flatten()(pixels))
    photos = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    network = keras.Model(pixels, [layers.Activation("linear")(pixels), dense])
    vectors, grids = Encoder(settings, network, "none").encode_grids(photos)
    np.testing.assert_array_equal(grids.reshape(photos.shape), photos)
    np.testing.assert_allclose(vectors, network.predict_on_batch(photos)[1], rtol=1e-5)


def test_statistics_that_a_network_brings_are_folded_with_it() -> None:
    """EfficientNet's first layers standardise pixels by statistics that are weights."""
    image = layers.Input((4, 4, 3))
    network = keras.Model(image, layers.Conv2D(2, 1)(layers.Normalization()(image)))
    weights = network.get_weights()
    weights[:2] = [np.array([1, 2, 3], np.float32), np.array([4, 5, 6], np.float32)]
    network.set_weights(weights)
    network.get_layer(index=1).finalize_state()
    photos = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
    folded = fold_normalisation(network).predict_on_batch(photos)
    np.testing.assert_allclose(folded, network.predict_on_batch(photos), rtol=1e-5)


def test_missing_weights_are_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(**_: object) -> None:
        raise OSError("URL fetch failure on https://there/vgg16_weights.h5: None -- no network")

    monkeypatch.setattr(keras.applications, "VGG16", offline)
    with pytest.raises(CaptioningError, match=r"ImageNet weights of vgg16.*vgg16_weights\.h5.*--w"):
        load_encoder("vgg16")


def test_settings_are_the_same_after_json(tmp_path) -> None:
    """A model of DenseNet201 is read back: its three scales are a list in JSON."""
    import json
    import shutil

    from tests.conftest import ROOT

    shutil.copytree(ROOT / "models" / "flickr8k-merge", tmp_path / "model")
    file = tmp_path / "model" / "captioner.json"
    about = json.loads(file.read_text())
    about["encoder"] = {**ENCODERS["densenet201"].as_dict(), "weights": "x"}
    file.write_text(json.dumps(about))
    assert read_description(tmp_path / "model")["encoder"]["scale"][0] == 1 / 255 / 0.229
    assert "channels" not in ENCODERS["xception"].as_dict()
    assert ENCODERS["vgg16"].as_dict()["channels"] == "bgr"
