"""Networks of other programs, built anew of layers that are known here.

Keras' own loader imports what a file names, refuses much of what Keras 2 wrote, and computes some
of it otherwise. Here a layer is made by a row of `_LAYERS`, from the few values that matter in
prediction; whatever a file says beside them (initializers, dropout, optimizers) is not looked at.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from captioning.backend import for_prediction
from captioning.errors import CaptioningError
from captioning.files.keras_files import LARGEST_SIZE
from captioning.files.network_files import NetworkFile

MOST_LAYERS = 500


class UnknownPartError(ValueError):
    """A layer, or a way to connect layers, that isn't known here; the message names it."""


def rebuild(file: NetworkFile) -> keras.Model:
    """The network of a file, with its weights, for prediction.

    Raises `CaptioningError` when it holds a layer that isn't known here, or weights that don't fit
    the layers, naming both shapes.
    """
    try:
        # First without memory: the sizes are a stranger's.
        with keras.StatelessScope(initialize_variables=False):
            wanted = sum(math.prod(v.shape) for v in _Builder(file).model().weights)
        held = sum(part.size for parts in file.weights.values() for part in parts)
        if wanted > held:
            raise ValueError(f"its layers need {wanted:,} weights, and it has {held:,}")
        builder = _Builder(file)
        model = builder.model()
        builder.set_weights()
    except CaptioningError:
        raise
    except Exception as error:  # Keras raises all sorts for layers that don't fit each other
        reason = str(error).strip().split("\n")[0][:300] or type(error).__name__
        raise CaptioningError(f"cannot rebuild the network of {file.path}: {reason}") from None
    return for_prediction(model)


class _Builder:
    """Builds the network of a file, each layer when a later one asks for its output."""

    def __init__(self, file: NetworkFile) -> None:
        self._file = file
        self._entries: dict[str, dict] = {}
        for entry in file.layers["layers"][: MOST_LAYERS + 1]:
            self._entries[str(entry.get("name") or entry["config"]["name"])] = entry
        if len(self._entries) > MOST_LAYERS:
            raise UnknownPartError(f"it has more than {MOST_LAYERS} layers")
        self._made: dict[str, Any] = {}
        self._outputs: dict[tuple[str, int], Any] = {}  # of each call of a layer
        self._asked: set[tuple[str, int]] = set()

    def model(self) -> keras.Model:
        """The network; its weights are random."""
        inputs = [self._tensor(place) for place in _places(self._file.layers["input_layers"])]
        outputs = [self._tensor(place) for place in _places(self._file.layers["output_layers"])]
        return keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0], name="prefix")

    def set_weights(self) -> None:
        """Give every layer its weights of the file."""
        arrays_of = self._arrays()
        for name, layer in self._made.items():
            # In the order of Keras' files, whatever was frozen in training.
            variables = layer.trainable_weights + layer.non_trainable_weights
            arrays = arrays_of.get(name, [])
            shapes = [tuple(v.shape) for v in variables]
            if shapes != [array.shape for array in arrays]:
                raise ValueError(
                    f"the layer {name} has weights of the shapes {shapes}, and the file has "
                    f"{[array.shape for array in arrays]}"
                )
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(np.asarray(array, np.float32))

    def _arrays(self) -> dict[str, list[np.ndarray]]:
        """{layer: arrays}: by the layers' names, or, where those are others, in their order.

        Weights that were saved apart may come of a later session, which counts `dense_7` on.
        """
        named = [name for name in self._entries if name in self._made and self._made[name].weights]
        if all(self._file.weights.get(name) for name in named):
            return self._file.weights
        held = [arrays for arrays in self._file.weights.values() if arrays]
        if len(held) != len(named):
            raise ValueError(f"{len(named)} of its layers have weights, in the file {len(held)}")
        return dict(zip(named, held, strict=True))

    def _tensor(self, place: tuple[str, int, int]) -> Any:
        """The output of a layer's call: (layer, which call, which of its outputs)."""
        name, call, output = place
        if (name, call) not in self._outputs:
            if (name, call) in self._asked:
                raise UnknownPartError(f"{name} is before itself")
            self._asked.add((name, call))
            self._outputs[name, call] = self._called(name, call)
        found = self._outputs[name, call]
        return found[output] if isinstance(found, list | tuple) else found

    def _called(self, name: str, call: int) -> Any:
        entry = self._entries[name]
        if entry["class_name"] == "InputLayer":
            return _input(entry["config"], name)
        if name not in self._made:
            self._made[name] = _layer(entry, self._file.is_old)
        arguments, states = _arguments(entry["inbound_nodes"][call])
        if isinstance(self._made[name], layers.RNN):  # Keras 2 puts its states after its input
            arguments, states = arguments[:1], arguments[1:] + states
        given = [self._tensor(place) for place in arguments]
        options: dict[str, Any] = {}
        if states:
            options["initial_state"] = [self._tensor(place) for place in states]
            if self._file.is_old:  # Keras 3 doesn't hand the mask on to a layer with states
                options["mask"] = getattr(given[0], "_keras_mask", None)
        return self._made[name](given if len(given) > 1 else given[0], **options)


def _places(value: Any) -> list[tuple[str, int, int]]:
    """[["a", 0, 0], …], or of a single one ["a", 0, 0]."""
    if isinstance(value, list) and value and isinstance(value[0], str):
        value = [value]
    return [(str(name), int(call), int(output)) for name, call, output, *_ in value]


def _arguments(node: Any) -> tuple[list[tuple[str, int, int]], list[tuple[str, int, int]]]:
    """The inputs of a call, and the initial states of a recurrent layer."""
    if isinstance(node, dict):  # Keras 3; its keyword `mask` is what layers hand on by themselves
        states = _tensors(node.get("kwargs", {}).get("initial_state"))
        return _tensors(node["args"]), states
    places = _places(node)
    for _, _, _, *options in node:
        if options and any(isinstance(value, list) for value in options[0].values()):
            raise UnknownPartError("a layer is called with more than its input")
    return places, []


def _tensors(value: Any, depth: int = 0) -> list[tuple[str, int, int]]:
    """The tensors of Keras 3's arguments, in their order."""
    if depth > 5:
        raise UnknownPartError("arguments are nested too deep")
    if isinstance(value, list):
        return [place for item in value for place in _tensors(item, depth + 1)]
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        return _places([value["config"]["keras_history"]])
    if value is None:
        return []
    raise UnknownPartError(f"a layer is called with {str(value)[:40]!r}")


def _input(config: dict[str, Any], name: str) -> Any:
    shape = config.get("batch_shape") or config.get("batch_input_shape") or [None]
    sides = tuple(None if side is None else int(side) for side in shape[1:])
    if any(side is not None and not 0 < side <= 1 << 16 for side in sides):
        raise UnknownPartError(f"the input {name} has the shape {sides}")
    return layers.Input(sides, name=name)


def _layer(entry: dict[str, Any], is_old: bool) -> Any:
    """The layer of an entry, by its row of `_LAYERS`."""
    kind, config = entry["class_name"], entry["config"]
    module = str(entry.get("module") or "keras.layers")
    if kind not in _LAYERS or not module.endswith("layers") or config.get("stateful"):
        code = " (it may hold any code)" if kind == "Lambda" else ""
        raise UnknownPartError(
            f"the layer {config.get('name')} is a {kind}{code}, which isn't known here; there are "
            + ", ".join(_LAYERS)
        )
    return _LAYERS[kind](config, is_old)


def _values(config: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Those values of a configuration that are there, if they are plain numbers or truths."""
    found = {key: config[key] for key in keys if config.get(key) is not None}
    for key, value in found.items():
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, int | float) for part in parts) or len(parts) > 8:
            raise UnknownPartError(f"{key} is {str(value)[:40]!r}")
    return found


def _plain(kind: type, *keys: str) -> Callable[[dict[str, Any], bool], Any]:
    """A row: the layer of that class, made of these values, its activation among them."""

    def make(config: dict[str, Any], is_old: bool) -> Any:
        options = _values(config, *(key for key in keys if not key.endswith("activation")))
        for key in keys:
            if key.endswith("activation") and config.get(key) is not None:
                options[key] = _activation(config[key], is_old)
        return kind(**options)

    return make


_ACTIVATIONS = {
    *("linear", "relu", "tanh", "sigmoid", "softmax", "hard_sigmoid", "elu", "selu", "softplus"),
    *("softsign", "gelu", "swish", "silu", "exponential", "leaky_relu", "relu6", "mish"),
}


def _activation(value: Any, is_old: bool) -> Any:
    if isinstance(value, dict):  # {"class_name": "function", "config": "relu"}
        value = value.get("config")
    if not isinstance(value, str) or value not in _ACTIVATIONS:
        raise UnknownPartError(f"the activation {str(value)[:40]!r} isn't known here")
    return _old_hard_sigmoid if is_old and value == "hard_sigmoid" else value


def _old_hard_sigmoid(x: Any) -> Any:
    """That of Keras 2, the default inside of an LSTM until 2.3; Keras 3 has a flatter one."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def _recurrent(kind: type, *keys: str) -> Callable[[dict[str, Any], bool], Any]:
    """A row for a recurrent layer."""
    names = ("units", "use_bias", "return_sequences", "return_state", "go_backwards", "activation")

    def make(config: dict[str, Any], is_old: bool) -> Any:
        if config.get("time_major"):
            raise UnknownPartError(f"the layer {config.get('name')} has its time first")
        if kind is layers.GRU:  # unsaid before there was a choice
            config = {"reset_after": False, **config}
        layer = _plain(kind, *names, *keys)(config, is_old)
        # cuDNN refuses words that are padded before the caption.
        layer.use_cudnn = False
        return layer

    return make


def _wrapped(config: dict[str, Any], is_old: bool, depth: int = 0) -> Any:
    """The layer inside of another."""
    if config["layer"]["class_name"] in ("TimeDistributed", "Bidirectional"):
        raise UnknownPartError("a wrapped layer is wrapped")
    return _layer(config["layer"], is_old)


def _bidirectional(config: dict[str, Any], is_old: bool) -> Any:
    if config.get("merge_mode", "concat") not in ("concat", "sum", "mul", "ave"):
        raise UnknownPartError(f"merge_mode is {str(config['merge_mode'])[:40]!r}")
    forward = _wrapped(config, is_old)
    backward = _wrapped(config, is_old)
    backward.go_backwards = not forward.go_backwards
    # Each layer's name is the first part of its weights' names, and no two may be the same.
    return layers.Bidirectional(
        forward, config.get("merge_mode", "concat"), backward_layer=backward
    )


def _repeat(config: dict[str, Any], is_old: bool) -> Any:
    count = _values(config, "n")["n"]
    if not 0 < count <= LARGEST_SIZE:
        raise UnknownPartError(f"a vector is repeated {count:,} times")
    return layers.RepeatVector(int(count))


def _leaky(config: dict[str, Any], is_old: bool) -> Any:
    slopes = _values(config, "negative_slope", "alpha")
    return layers.LeakyReLU(next(iter(slopes.values()), 0.3))


def _normalisation(kind: type) -> Callable[[dict[str, Any], bool], Any]:
    def make(config: dict[str, Any], is_old: bool) -> Any:
        options = _values(config, "axis", "epsilon", "center", "scale")
        if isinstance(options.get("axis"), list) and kind is layers.BatchNormalization:
            (options["axis"],) = options["axis"]
        return kind(**options)

    return make


def _identity(config: dict[str, Any], is_old: bool) -> Any:
    """Layers that do something in training alone."""
    return layers.Dropout(0.0)


def _merging(kind: type, *keys: str) -> Callable[[dict[str, Any], bool], Any]:
    """A row for a layer of several inputs, whose masks Keras 2 joined by "and", Keras 3 by "or"."""

    def make(config: dict[str, Any], is_old: bool) -> Any:
        return _plain(_with_old_masks(kind) if is_old else kind, *keys)(config, is_old)

    return make


def _dot(config: dict[str, Any], is_old: bool) -> Any:
    options = _values(config, "axes", "normalize")  # neither Keras hands a mask on
    if isinstance(options.get("axes"), list):
        options["axes"] = tuple(options["axes"])
    return layers.Dot(**options)


def _with_old_masks(kind: type) -> type:
    """The class, with the masks of Keras 2: a step counts if it counts in every input.

    An input without a mask counts everywhere. Where the inputs follow each other in time, so do
    their masks.
    """

    def compute_mask(self: Any, inputs: Any, mask: Any = None) -> Any:
        masks = mask or [None] * len(inputs)
        if all(one is None for one in masks):
            return None
        if kind is layers.Concatenate and self.axis in (1, -2) and len(inputs[0].shape) == 3:
            steps = [
                ops.ones_like(given[..., 0], "bool") if one is None else one
                for given, one in zip(inputs, masks, strict=True)
            ]
            return ops.concatenate(steps, axis=1)  # (captions, steps of all)
        known = [one for one in masks if one is not None]
        joined = known[0]
        for one in known[1:]:
            joined = ops.logical_and(joined, one)
        return joined

    return type(f"Old{kind.__name__}", (kind,), {"compute_mask": compute_mask})


_LAYERS: dict[str, Callable[[dict[str, Any], bool], Any]] = {
    "Dense": _plain(layers.Dense, "units", "activation", "use_bias"),
    "Embedding": _plain(layers.Embedding, "input_dim", "output_dim", "mask_zero"),
    "LSTM": _recurrent(layers.LSTM, "recurrent_activation"),
    "GRU": _recurrent(layers.GRU, "recurrent_activation", "reset_after"),
    "SimpleRNN": _recurrent(layers.SimpleRNN),
    "Bidirectional": _bidirectional,
    "TimeDistributed": lambda config, is_old: layers.TimeDistributed(_wrapped(config, is_old)),
    "RepeatVector": _repeat,
    "Add": _merging(layers.Add),
    "Concatenate": _merging(layers.Concatenate, "axis"),
    "Multiply": _merging(layers.Multiply),
    "Average": _merging(layers.Average),
    "Maximum": _merging(layers.Maximum),
    "Subtract": _merging(layers.Subtract),
    "Dot": _dot,
    "Dropout": _identity,
    "SpatialDropout1D": _identity,
    "GaussianDropout": _identity,
    "GaussianNoise": _identity,
    "AlphaDropout": _identity,
    "ActivityRegularization": _identity,
    "Activation": _plain(layers.Activation, "activation"),
    "LeakyReLU": _leaky,
    "ReLU": _plain(layers.ReLU, "max_value", "negative_slope", "threshold"),
    "ELU": _plain(layers.ELU, "alpha"),
    "Softmax": _plain(layers.Softmax, "axis"),
    "BatchNormalization": _normalisation(layers.BatchNormalization),
    "LayerNormalization": _normalisation(layers.LayerNormalization),
    "Masking": _plain(layers.Masking, "mask_value"),
    "Reshape": _plain(layers.Reshape, "target_shape"),
    "Permute": _plain(layers.Permute, "dims"),
    "Flatten": _plain(layers.Flatten),
    "GlobalAveragePooling1D": _plain(layers.GlobalAveragePooling1D),
    "GlobalMaxPooling1D": _plain(layers.GlobalMaxPooling1D),
}
"""How each class of layers is made of its configuration."""


def gives_probabilities(model: keras.Model) -> bool:
    """Whether what the network gives is a softmax already, not logits."""
    layer = model.get_layer(model.output._keras_history.operation.name)
    while isinstance(layer, layers.TimeDistributed):
        layer = layer.layer
    activation = getattr(layer, "activation", None)
    return isinstance(layer, layers.Softmax) or activation is keras.activations.softmax
