"""The networks of the encoders, as they were published, with their weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from captioning.errors import CaptioningError
from captioning.vision.encoders import ENCODERS, LITE


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

        if weights == "imagenet":
            return load_efficientnet_lite(VARIANTS[name], size)
        from captioning.vision.own_weights import read_own_weights

        return load_efficientnet_lite(VARIANTS[name], size, read_own_weights(Path(weights), name))

    return load_application(name, weights)


def load_application(name: str, weights: str | None) -> Any:
    """The network of an encoder that Keras has among its applications; as `load_network`.

    weights: also None, for random ones.
    """
    import keras

    settings = ENCODERS[name]
    make = getattr(keras.applications, str(settings.application))
    whole = settings.layer == "fc2"  # a layer of the classifier, before the classes
    network = _read_weights(
        lambda: make(
            include_top=whole, weights=weights, input_shape=(settings.size, settings.size, 3)
        ),
        name,
        str(weights),
    )
    if name == "xception-block13":
        grid = network.get_layer("block14_sepconv1").input  # (photos, 10, 10, 1024)
    elif whole:
        # (photos, 7, 7, 512), (photos, 4096)
        grid = [network.get_layer("block5_pool").output, network.get_layer("fc2").output]
    else:
        return network
    return keras.Model(network.inputs, grid, name=name)


def _read_weights(read: Callable[[], Any], name: str, weights: str) -> Any:
    """What `read` gives; its errors as `CaptioningError`, with the file and a way out."""
    try:
        return read()
    except Exception as error:  # h5py, Keras and urllib each raise their own kinds
        first_line = str(error).strip().split("\n")[0][:200]
        if weights == "imagenet":
            raise CaptioningError(
                f"the ImageNet weights of {name} could not be fetched ({first_line}); without "
                "internet, copy the file of that name from ~/.keras/models of a machine that has "
                "it and name it with --weights"
            ) from None
        raise CaptioningError(
            f"the file {weights} does not hold weights of {name} ({first_line})"
        ) from None
