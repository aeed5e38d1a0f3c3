"""Checks of `.keras` files from strangers, before Keras reads them.

A `.keras` file is a zip of `config.json` (the layers), `metadata.json` and `model.weights.h5`.
Keras' safe mode refuses Lambda layers, but a hostile file can do more:
- its config names classes and functions by module, which Keras imports and calls: here only
  known layers, and our own registered ones, are allowed;
- its weights can link to other files, which HDF5 opens: here links and
  external storage are refused;
- its shapes and sizes can claim any memory: here nothing may be larger than what the file holds.
"""

import io
import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from captioning.errors import CaptioningError

LARGEST = 2 << 30
"""Weights of more bytes are refused; a model of ours has 7 to 40 million."""

LARGEST_JSON = 16 << 20

LARGEST_SIZE = 2048
"""Layer sizes up to this need no counterpart in the weights' shapes; they take little memory."""

RANDOM_STATES = 1000
"""A model has up to so many numbers beside its weights: the states of its random generators."""

MEMBERS = {"config.json", "metadata.json", "model.weights.h5"}

_MODULES = (
    "keras",
    "keras.layers",
    "keras.initializers",
    "keras.optimizers",
    "keras.optimizers.schedules",
    "keras.src.models.functional",
)

_OWN_MODULES = "captioning."

# A list of what is allowed, not of what is forbidden: new versions of Keras bring new classes.
_CLASSES = set(
    """Functional InputLayer Normalization DTypePolicy Dropout Dense Embedding Reshape LSTM Add
    GlorotUniform Zeros Ones RandomUniform RandomNormal Orthogonal ReversibleEmbedding
    LayerNormalization GlobalAveragePooling1D Multiply Concatenate Activation
    Softmax Masking GRU Adam CosineDecay""".split()  # noqa: SIM905 (a list of forty words is less readable)
)

_FREE_NUMBERS = {"seed", "shared_object_id", "decay_steps", "warmup_steps"}
"""Keys of the config whose numbers may be of any size: no array is made of them."""

_VALUES = {"__keras_tensor__", "__tensor__", "__numpy__", "__ellipsis__", "slice"}
"""Class names without a module, by which Keras writes plain values."""


def check_keras_file(path: Path) -> None:
    """Raise `CaptioningError` when a `.keras` file holds anything but layers, weights, numbers.

    Takes little memory beyond the file's own size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check_members(archive.infolist())
            config = json.loads(archive.read("config.json"))
            json.loads(archive.read("metadata.json"))
            weights = archive.read("model.weights.h5")
        shapes = weight_shapes(weights)
        # In this order: the last check builds the layers, so their classes must be known by then.
        _check_config(config)
        _check_sizes(config, shapes)
    except Exception as error:  # zip, JSON and h5 errors alike
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise CaptioningError(f"cannot read {path}: {reason}") from None


def check_members(members: list[zipfile.ZipInfo]) -> None:
    """Raise ValueError unless the zip holds the three members once, of a sensible size."""
    names = [member.filename for member in members]
    if sorted(names) != sorted(MEMBERS):  # also against paths that leave the folder, and doubles
        raise ValueError(f"it holds {names[:5]}, not {sorted(MEMBERS)}")
    for member in members:
        largest = LARGEST if member.filename.endswith(".h5") else LARGEST_JSON
        if member.file_size > largest:
            raise ValueError(f"{member.filename} in it has {member.file_size:,} bytes")
        # A zip bomb: weights hardly compress, and JSON not a thousandfold.
        if member.file_size > 1000 * member.compress_size + 1000:
            raise ValueError(f"{member.filename} in it would be unpacked more than a thousandfold")


def _objects(value: Any, depth: int = 0) -> Iterator[dict]:
    """Every JSON object inside of a value, itself included."""
    if depth > 100:
        raise ValueError("its config is nested more than 100 deep")
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _objects(inner, depth + 1)


def _check_config(config: Any) -> None:
    """Raise ValueError for a class that none of our models is made of.

    Every object with a `class_name`, wherever it is, counts: Keras deserializes them in arguments
    too (activations, initializers, ...).
    """
    import keras

    registered_classes = keras.saving.get_custom_objects()
    if not isinstance(config, dict) or config.get("class_name") != "Functional":
        raise ValueError("it holds no model of Keras' functional API")
    for found in _objects(config):
        if "class_name" not in found:
            continue
        module, name = found.get("module"), found["class_name"]
        if module is None:
            allowed = name in _VALUES
        elif isinstance(module, str) and module.startswith(_OWN_MODULES):
            # Only by their registered name: by the module's, Keras would import and call any
            # function of our package that the file names.
            registered = f"captioning>{name}"
            allowed = (
                found.get("registered_name") == registered and registered in registered_classes
            )
        else:
            allowed = module in _MODULES and name in _CLASSES
        if not allowed:
            raise ValueError(f"it uses {module}.{name}, which no model of ours has")


def weight_shapes(weights: bytes) -> list[tuple[int, ...]]:
    """The shapes of all arrays in an HDF5 file.

    Raises ValueError for links, for storage in other files, for values that are no numbers, and
    for shapes of more bytes than the file has.
    """
    import h5py
    import numpy as np

    shapes, parts = [], 0
    with h5py.File(io.BytesIO(weights), "r") as file:
        groups = [file]
        while groups:
            group = groups.pop()
            for name in group:
                # Asked of the link before it is followed: following it would open the other file.
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"{name} of its weights is a link")
                parts += 1
                if parts > 10_000:  # hard links can put a group into itself, without an end
                    raise ValueError("its weights have more than 10,000 parts")
                item = group[name]
                if isinstance(item, h5py.Group):
                    groups.append(item)
                    continue
                if item.external or item.is_virtual or item.dtype.kind not in "fiub":
                    raise ValueError(f"{item.name} of its weights is no array of numbers")
                # In float: the product of hostile sides would wrap around in 64 bits. Chunks that
                # were never written take no room in the file, but in memory.
                if int(np.prod(item.shape, dtype=float)) * item.dtype.itemsize > len(weights):
                    raise ValueError(f"{item.name} of its weights claims the shape {item.shape}")
                shapes.append(item.shape)
    return shapes


def _check_sizes(config: Any, shapes: list[tuple[int, ...]]) -> None:
    """Raise ValueError when the layers of the config would need more memory than the weights.

    First each large number must be a side of some weight, so that building the layers, without
    their values, is safe; then the variables of the layers are counted.
    """
    sides = {side for shape in shapes for side in shape}
    for found in _objects(config):
        for key, value in found.items():
            for number in value if isinstance(value, list) else [value]:
                if key in _FREE_NUMBERS or type(number) is not int:
                    continue
                if number > LARGEST_SIZE and number not in sides:
                    raise ValueError(f"its config has {key} {number:,}, its weights have not")
    wanted, total = _count_weights(config), sum(math.prod(shape) for shape in shapes)
    if wanted > total + RANDOM_STATES:
        raise ValueError(f"its config needs {wanted:,} weights, and it has {total:,}")


def _count_weights(config: dict[str, Any]) -> int:
    """How many numbers the layers' variables hold, found without making any."""
    import keras

    layers = {key: value for key, value in config.items() if key != "compile_config"}
    # In a stateless scope variables have a shape, but no value until one is asked for.
    with keras.StatelessScope(initialize_variables=False):
        model = keras.saving.deserialize_keras_object(layers, safe_mode=True)
    return sum(math.prod(variable.shape) for variable in model.variables)
