"""A `.keras` file is looked at before Keras reads it: only our layers, no size it doesn't hold.

Keras' safe mode refuses Lambda layers; a file from a stranger can do more: name any function of
any module, links to other files in the weights, or shapes that fill the memory.
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
"""A model's weights, in bytes; ours have 7 to 40 million."""


LARGEST_JSON = 16 << 20


SEEDS = 1000
"""So many numbers a model has beyond its weights: the states of its random generators."""


MEMBERS = {"config.json", "metadata.json", "model.weights.h5"}


_MODULES = (
    "keras",
    "keras.layers",
    "keras.initializers",
    "keras.optimizers",
    "keras.optimizers.schedules",
    "keras.src.models.functional",
)


_OURS = "captioning."


_CLASSES = set(
    """Functional InputLayer Normalization DTypePolicy Dropout Dense Embedding Reshape LSTM Add
    GlorotUniform Zeros Ones RandomUniform RandomNormal Orthogonal ReversibleEmbedding
    LayerNormalization GlobalAveragePooling1D Multiply Concatenate Activation
    Softmax Masking GRU Adam CosineDecay""".split()  # noqa: SIM905 (a list of forty words is less readable)
)


_COUNTS = {"seed", "shared_object_id", "decay_steps", "warmup_steps"}  # of no memory


_VALUES = {"__keras_tensor__", "__tensor__", "__numpy__", "__ellipsis__", "slice"}


def check_keras_file(path: Path) -> None:
    """Raise `CaptioningError` when a `.keras` file holds anything but layers, weights, numbers.

    Takes no memory beyond the file's own size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive.infolist())
            config = json.loads(archive.read("config.json"))
            json.loads(archive.read("metadata.json"))
            weights = archive.read("model.weights.h5")
        shapes = _shapes(weights)
        _check_config(config)
        _check_sizes(config, shapes)
    except Exception as error:  # zip, JSON and h5 errors alike
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise CaptioningError(f"cannot read {path}: {reason}") from None


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    if sorted(names) != sorted(MEMBERS):
        raise ValueError(f"it holds {names[:5]}, not {sorted(MEMBERS)}")
    for member in members:
        largest = LARGEST if member.filename.endswith(".h5") else LARGEST_JSON
        if member.file_size > largest:
            raise ValueError(f"{member.filename} in it has {member.file_size:,} bytes")
        if member.file_size > 1000 * member.compress_size + 1000:
            raise ValueError(f"{member.filename} in it would be unpacked more than a thousandfold")


def _objects(value: Any, depth: int = 0) -> Iterator[dict]:
    """Every JSON object inside of a value."""
    if depth > 100:
        raise ValueError("its description is nested more than 100 deep")
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _objects(inner, depth + 1)


def _check_config(config: Any) -> None:
    import keras

    ours = keras.saving.get_custom_objects()
    if not isinstance(config, dict) or config.get("class_name") != "Functional":
        raise ValueError("it holds no model of Keras' functional API")
    for found in _objects(config):
        if "class_name" not in found:
            continue
        module, name = found.get("module"), found["class_name"]
        if module is None:
            allowed = name in _VALUES
        elif isinstance(module, str) and module.startswith(_OURS):
            # Our own classes are registered; Keras must not import what the file names.
            registered = f"captioning>{name}"
            allowed = found.get("registered_name") == registered and registered in ours
        else:
            allowed = module in _MODULES and name in _CLASSES
        if not allowed:
            raise ValueError(f"it wants {module}.{name}, which no captioner of ours is made of")


def _shapes(weights: bytes) -> list[tuple[int, ...]]:
    """The shapes of the weights; raises for links out of the file, sizes it doesn't hold."""
    import h5py
    import numpy as np

    shapes, seen = [], 0
    with h5py.File(io.BytesIO(weights), "r") as file:
        groups = [file]
        while groups:
            group = groups.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"{name} of its weights is a link")
                seen += 1
                if seen > 10_000:  # groups that hold themselves too
                    raise ValueError("its weights have more than 10,000 parts")
                item = group[name]
                if isinstance(item, h5py.Group):
                    groups.append(item)
                    continue
                if item.external or item.is_virtual or item.dtype.kind not in "fiub":
                    raise ValueError(f"{item.name} of its weights is no array of numbers")
                if int(np.prod(item.shape, dtype=float)) * item.dtype.itemsize > len(weights):
                    raise ValueError(f"{item.name} of its weights claims the shape {item.shape}")
                shapes.append(item.shape)
    return shapes


def _check_sizes(config: Any, shapes: list[tuple[int, ...]]) -> None:
    """The layers' sizes must be those of the weights: else building them could take any memory."""
    sides = {side for shape in shapes for side in shape}
    for found in _objects(config):
        for key, value in found.items():
            for number in value if isinstance(value, list) else [value]:
                if key in _COUNTS or type(number) is not int:
                    continue
                if number > 2048 and number not in sides:
                    raise ValueError(f"its description has {key} {number:,}, its weights have not")
    wanted, total = _count_weights(config), sum(math.prod(shape) for shape in shapes)
    if wanted > total + SEEDS:
        raise ValueError(f"its description wants {wanted:,} weights, and it has {total:,}")


def _count_weights(config: dict[str, Any]) -> int:
    """How many numbers the layers' variables hold, found without making any."""
    import keras

    layers = {key: value for key, value in config.items() if key != "compile_config"}
    with keras.StatelessScope(initialize_variables=False):
        model = keras.saving.deserialize_keras_object(layers, safe_mode=True)
    return sum(math.prod(variable.shape) for variable in model.variables)
