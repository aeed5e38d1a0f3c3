"""`.keras` files as an attacker would write them, made of the shipped model."""

import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import keras

from tests.conftest import ROOT

MODEL = ROOT / "models" / "flickr8k-merge"

Changes = dict[str, bytes | None]
"""What a hostile `.keras` file has in place of its parts: {member: content, or None to drop it}."""


def rewritten(folder: Path, **changes: bytes | None) -> Path:
    """A copy of the shipped model with other members in its `.keras` file; None drops one."""
    shutil.copytree(MODEL, folder)
    with zipfile.ZipFile(MODEL / "model.keras") as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    for member, content in changes.items():
        member = {"config": "config.json", "weights": "model.weights.h5"}.get(member, member)
        if content is None:
            del members[member]
        else:
            members[member] = content
    with zipfile.ZipFile(folder / "model.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return folder


def config_with(layer: dict, place: int = 2) -> bytes:
    """The shipped model's config with one layer exchanged."""
    with zipfile.ZipFile(MODEL / "model.keras") as archive:
        config = json.loads(archive.read("config.json"))
    config["config"]["layers"][place] |= layer
    return json.dumps(config).encode()


def chain_of(layers: int, units: int) -> bytes:
    """The config of a model of so many dense layers, each after the other."""
    weightless = keras.StatelessScope(initialize_variables=False)
    with weightless:
        inputs = found = keras.Input((units,))
        for _ in range(layers):
            found = keras.layers.Dense(units)(found)
        return json.dumps(keras.saving.serialize_keras_object(keras.Model(inputs, found))).encode()


def weights_with(change: Callable[[h5py.File], object]) -> bytes:
    """The shipped model's weights after a change of the open file."""
    with zipfile.ZipFile(MODEL / "model.keras") as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content, "r+") as file:
        change(file)
    return content.getvalue()


def hostile_models(trace: Path) -> Iterator[tuple[str, Changes]]:
    """What each hostile file tries, and what it has in place of the shipped model's parts.

    trace: the file that is made if any code of theirs runs.
    """
    for what, layer in _foreign_layers(trace).items():
        yield what, {"config": config_with(layer)}
    for what, config in _odd_configs().items():
        yield what, {"config": config}
    yield "member that leaves the folder", {"../../outside.txt": b"x"}
    yield "member of an absolute path", {"/tmp/outside.txt": b"x"}
    yield "zip bomb", {"weights": b"\0" * 300_000_000}
    yield "weights that are none", {"weights": b"x" * 1000}
    for what, change in _weight_changes().items():
        yield what, {"weights": weights_with(change)}


def _foreign_layers(trace: Path) -> dict[str, dict]:
    """Layers in place of one of the model's: they run code, read files, or take any memory."""
    code = keras.saving.serialize_keras_object(keras.layers.Lambda(lambda x: x))
    system = {
        "module": "os",
        "class_name": "system",
        "config": f"touch {trace}",
        "registered_name": None,
    }
    get_file = {
        "module": "keras.utils",
        "class_name": "get_file",
        "config": {"origin": "http://127.0.0.1:9/x"},
    }
    return {
        "Lambda layer": code,
        "Lambda by another name": {**code, "module": "keras.src.layers.core.lambda_layer"},
        "os.system as a layer": system,
        "os.system as an activation": {
            "config": {"name": "x", "activation": {**system, "class_name": "function"}}
        },
        "get_file as an initializer": {"config": {"units": 8, "kernel_initializer": get_file}},
        "unsafe deserialization switched on": {
            "module": "keras.config",
            "class_name": "enable_unsafe_deserialization",
            "config": {},
        },
        "our name on another's function": {
            "module": "captioning.files.text",
            "class_name": "write_text",
            "registered_name": "captioning>write_text",
        },
        "layer that reads files": _keras_layer("StringLookup", vocabulary="/etc/passwd"),
        "TensorFlow's saved model": _keras_layer("TFSMLayer", filepath="/tmp"),
        "layer of 10**12 units": _keras_layer("Dense", units=10**12),
        "layer of 2,539 x 10**6": {"config": {"input_dim": 10**6, "output_dim": 2539}},
    }


def _keras_layer(name: str, **config: object) -> dict:
    return {"module": "keras.layers", "class_name": name, "config": config}


def _odd_configs() -> dict[str, bytes | None]:
    """Configs that describe no model, or another one."""
    return {
        "99 layers where the weights have one": chain_of(99, 2048),
        "no config": None,
        "config of nothing": b"null",
        "config of a list": b"[]",
        "config that is no JSON": b"{",
        "config nested deeply": b"[" * 200_000,
        "config of another model": b'{"class_name": "Functional", "module": "keras", "config": {}}',
    }


def _weight_changes() -> dict[str, Callable[[h5py.File], object]]:
    """Changes of the open file of weights: links, other files, claimed sizes, circles."""
    return {
        "weights with a link to a file": lambda file: file.__setitem__(
            "link", h5py.ExternalLink("/etc/passwd", "/")
        ),
        "weights with a soft link": lambda file: file.__setitem__("link", h5py.SoftLink("/layers")),
        "weights in another file": lambda file: file.create_dataset(
            "x", (9,), "u1", external=[("/etc/passwd", 0, 9)]
        ),
        "weights of 4 TB": lambda file: file.create_dataset(
            "x", (10**6, 10**6), "f4", chunks=(100, 100)
        ),
        "weights that are objects": lambda file: file.create_dataset(
            "x", (9,), h5py.string_dtype()
        ),
        "weights in a circle": lambda file: file["layers"].__setitem__("layers", file["layers"]),
    }
