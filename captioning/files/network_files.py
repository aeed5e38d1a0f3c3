"""Networks that other programs saved with Keras 2 or 3: their layers as values, their weights.

`.h5`              layers as JSON in an attribute, weights by layer: `model.save` until 2023
`.keras`           a zip of config.json, metadata.json and model.weights.h5: `model.save` since
`.json` + `.h5`    `model.to_json()` and `model.save_weights`, beside each other

Nothing of a file is run, and no class is made by a name in it: `decoders/rebuilding` makes layers
of those that it knows.
"""

import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from captioning.errors import CaptioningError
from captioning.files.keras_files import LARGEST, LARGEST_JSON, check_members, weight_shapes

WEIGHTS_ENDINGS = (".h5", ".weights.h5", "_weights.h5", ".hdf5")
"""What takes the place of `.json` in the name of the weights beside it."""

_FIRST = ("vars", "cell", "forward_layer", "backward_layer", "layer")
"""Parts of a layer in `.keras` files, in the order of its weights; others follow by name."""


@dataclass(frozen=True)
class NetworkFile:
    """A network as it was saved.

    layers: its configuration, `{"name", "layers", "input_layers", "output_layers"}`, unchecked;
    weights: {layer: its arrays}, in Keras' order; keras: the version that saved it, "2.2.4".
    """

    path: Path
    layers: dict[str, Any]
    weights: dict[str, list[np.ndarray]]
    keras: str

    @property
    def is_old(self) -> bool:
        """Whether Keras 2 saved it (or 1), some of whose layers computed otherwise."""
        return not self.keras.startswith("3")


def read_network(path: Path) -> NetworkFile:
    """The network of a file. Raises `CaptioningError` when it's missing, damaged or hostile."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(8)
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has more than {LARGEST:,} bytes")
        if start.startswith(b"PK"):
            return _read_keras(path)
        if start == b"\x89HDF\r\n\x1a\n":
            return _read_h5(path)
        if start.lstrip()[:1] in (b"{", b'"'):
            return _read_json(path, _weights_beside(path))
    except CaptioningError:
        raise
    except IsADirectoryError:
        raise CaptioningError(f"{path} is a folder, not a model's file") from None
    except FileNotFoundError:
        raise CaptioningError(f"the model {path} is missing") from None
    except Exception as error:  # zip, JSON and h5 errors alike
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise CaptioningError(f"cannot read the model {path}: {reason}") from None
    raise CaptioningError(
        f"cannot read the model {path}: it is no .h5, .keras or .json of Keras; save it again "
        "where it was made: model.save('model.h5')"
    )


def _read_keras(path: Path) -> NetworkFile:
    with zipfile.ZipFile(path) as archive:
        check_members(archive.infolist())
        config = json.loads(archive.read("config.json"))
        metadata = json.loads(archive.read("metadata.json"))
        content = archive.read("model.weights.h5")
    return _network(path, config, _weights(content, config), metadata.get("keras_version"))


def _read_h5(path: Path) -> NetworkFile:
    import h5py

    content = path.read_bytes()
    weight_shapes(content)  # before anything in it is followed
    with h5py.File(io.BytesIO(content), "r") as file:
        config = file.attrs.get("model_config")
        version = file.attrs.get("keras_version")
    if config is None:
        return _read_json(_layers_beside(path), path)
    config = json.loads(_as_text(config))
    return _network(path, config, _weights(content, config), version)


def _read_json(path: Path, weights_file: Path) -> NetworkFile:
    if path.stat().st_size > LARGEST_JSON:
        raise ValueError(f"it has more than {LARGEST_JSON:,} bytes")
    config = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(config, str):  # json.dump(model.to_json(), file)
        config = json.loads(config)
    weights = _weights(weights_file.read_bytes(), config)
    # Keras 3 doesn't say its version there, but writes the class' module.
    version = config.get("keras_version") or ("3" if config.get("module") else "2")
    return _network(path, config, weights, version)


def _network(path: Path, config: Any, weights: dict[str, list], version: Any) -> NetworkFile:
    layers = config.get("config") if isinstance(config, dict) else None
    if not isinstance(layers, dict) or not isinstance(layers.get("layers"), list):
        raise ValueError("it holds no layers")
    return NetworkFile(path, layers, weights, _as_text(version or "2"))


def _weights_beside(path: Path) -> Path:
    """The weights beside a `.json` of layers."""
    names = [path.stem + ending for ending in WEIGHTS_ENDINGS]
    for name in names:
        if (path.parent / name).is_file():
            return path.parent / name
    raise CaptioningError(f"{path} holds layers; their weights, {names[0]}, are missing beside it")


def _layers_beside(path: Path) -> Path:
    """The `.json` of layers beside weights without them."""
    for ending in sorted(WEIGHTS_ENDINGS, key=len, reverse=True):
        file = path.parent / (path.name.removesuffix(ending) + ".json")
        if path.name.endswith(ending) and file.is_file():
            return file
    raise CaptioningError(
        f"{path} holds weights without the layers; write them beside it where the model was made: "
        f"open('{path.stem}.json', 'w').write(model.to_json())"
    )


def _weights(content: bytes, config: Any) -> dict[str, list[np.ndarray]]:
    """{layer: arrays} of an HDF5 file in the layout of `model.save`, or in that of `.keras`."""
    import h5py

    weight_shapes(content)
    with h5py.File(io.BytesIO(content), "r") as file:
        group = file.get("model_weights", file)
        if "layer_names" in group.attrs or "layer_names0" in group.attrs:
            names = _texts(group.attrs, "layer_names")
            return {
                name: [
                    np.asarray(group[name][w]) for w in _texts(group[name].attrs, "weight_names")
                ]
                for name in names
            }
        arrays: dict[tuple[str, ...], np.ndarray] = {}
        named: dict[tuple[str, ...], str] = {}
        _collect(file, (), arrays, named)
    return _by_layer(arrays, named, config["config"]["layers"])


def _collect(group: Any, place: tuple[str, ...], arrays: dict, named: dict) -> None:
    """All arrays below a group by their path, and the names of layers that it tells."""
    import h5py

    if "name" in group.attrs:
        named[place] = _as_text(group.attrs["name"])
    for key, item in group.items():
        inner = (
            *place,
            *re.split(r"[/\\]", key),
        )  # Keras on Windows once wrote layers\\dense\\vars
        if isinstance(item, h5py.Group):
            _collect(item, inner, arrays, named)
        else:
            arrays[inner] = np.asarray(item)


def _by_layer(
    arrays: Mapping[tuple[str, ...], np.ndarray],
    named: Mapping[tuple[str, ...], str],
    layers: list[Any],
) -> dict[str, list[np.ndarray]]:
    """The arrays of each layer.

    Groups are named after the layers' classes, `dense`, `dense_1`, in the order of the layers; a
    layer's own name is told since Keras 3.
    """
    counts: dict[str, int] = {}
    names = {}
    for layer in layers:
        kind = _snake(str(layer["class_name"]))
        count = counts[kind] = counts.get(kind, -1) + 1
        names[f"{kind}_{count}" if count else kind] = str(layer["config"]["name"])
    found: dict[str, list[tuple[list, np.ndarray]]] = {}
    for place, array in arrays.items():
        if place[0] not in ("layers", "_layer_checkpoint_dependencies") or len(place) < 3:
            continue
        name = named.get((*place[:2], "vars")) or names.get(place[1], place[1])
        found.setdefault(name, []).append((_order(place[2:]), array))
    return {
        name: [array for _, array in sorted(parts, key=lambda part: part[0])]
        for name, parts in found.items()
    }


def _order(place: tuple[str, ...]) -> list[tuple[int, int, str]]:
    """The key to sort the arrays of a layer by: vars/2 before vars/10, forward before backward."""
    return [
        (
            _FIRST.index(part) if part in _FIRST else len(_FIRST),
            int(part) if part.isdecimal() else 0,
            part,
        )
        for part in place
    ]


def _snake(name: str) -> str:
    """A class' name as Keras names groups: time_distributed of TimeDistributed, lstm of LSTM."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _texts(attributes: Any, key: str) -> list[str]:
    """The texts of an attribute, which Keras cuts into `key0`, `key1`, … where it is long."""
    if key in attributes:
        parts = [attributes[key]]
    else:
        parts = []
        while f"{key}{len(parts)}" in attributes:
            parts.append(attributes[f"{key}{len(parts)}"])
    return [_as_text(value) for part in parts for value in part]


def _as_text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
