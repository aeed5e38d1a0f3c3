"""A trained model as ONNX graphs, and the proof that they caption as Keras does.

tf2onnx converts what TensorFlow traces, so Keras has to run on TensorFlow here. Weights that half
precision holds exactly, as those of `model.keras` are, stay in half precision in the file: ONNX
Runtime widens them once, when it reads it, and computes in float32. 8-bit integers would halve the
file again, and change captions.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from captioning.decoders.build import steps_of
from captioning.decoders.onnx_steps import HYPOTHESES, PHOTO, PHOTOS, STEP, WORDS
from captioning.errors import CaptioningError
from captioning.files.whole import written_whole
from captioning.inference.trained_model import TrainedModel
from captioning.vision.encoders import Encoder
from captioning.vision.onnx_encoder import ENCODER, GRID, VECTOR

if TYPE_CHECKING:
    import onnx

FEWEST_HALVED = 1000
"""Constants of fewer numbers stay as they are."""

Shapes = Mapping[str, Sequence[str | int]]
"""Of inputs or outputs by name; texts name dimensions of any size."""


def export_decoder(trained: TrainedModel, folder: Path) -> None:
    """Write `decoder_photo.onnx` and `decoder_step.onnx` of a trained model into `folder`.

    Raises `CaptioningError` when Keras doesn't run on TensorFlow, or the disk refuses.
    """
    _check_backend()
    steps = steps_of(trained.model)
    notes = {
        "decoder": trained.model.name,
        "trained_at": trained.description["trained_at"],
        "vocabulary": str(trained.tokenizer.size),
    }
    photo_input = trained.model.inputs[0]
    parts = _outputs_of(steps.photo_model)
    # The standardising layer's constants are no weights; as arrays they become part of the graph.
    layer = trained.model.get_layer("standardise")
    layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)
    graph = _convert(
        lambda photos: steps.photo_model(photos, training=False),
        {"photos": (PHOTOS, *photo_input.shape[1:])},
        {"photos": str(photo_input.dtype)},
        {f"photo_{i}": (PHOTOS, *part.shape[1:]) for i, part in enumerate(parts)},
    )
    _write(folder / PHOTO, graph, notes)

    states = steps.step_model.inputs[1 + len(parts) :]
    inputs: dict[str, Sequence[str | int]] = {"words": (PHOTOS, HYPOTHESES)}
    inputs |= {f"photo_{i}": (PHOTOS, *part.shape[1:]) for i, part in enumerate(parts)}
    inputs |= {f"state_{i}": _state_shape(state.shape) for i, state in enumerate(states)}
    outputs: dict[str, Sequence[str | int]] = {
        "log_probabilities": (PHOTOS, HYPOTHESES, trained.tokenizer.size)
    }
    if steps.reads_grids:
        outputs["attention"] = (PHOTOS, HYPOTHESES, photo_input.shape[1])
    outputs |= {f"after_{i}": _state_shape(state.shape, "after") for i, state in enumerate(states)}

    def step(words: Any, *others: Any) -> Any:
        # The decoders that read grids want the words of a step as a column.
        words = words[..., None] if steps.reads_grids else words
        return steps.step_model([words, *others], training=False)

    kinds = dict.fromkeys(inputs, "float32") | {"words": "int32"}
    _write(folder / STEP, _convert(step, inputs, kinds, outputs), notes)


def export_encoder(encoder: Encoder, folder: Path) -> None:
    """Write `encoder.onnx` into `folder`: the encoder, in float32, from bytes to grid and vector.

    Raises `CaptioningError` as `export_decoder` does.
    """
    _check_backend()
    settings = encoder.settings
    regions, grid_size = settings.grid_side**2, settings.grid_size or settings.vector_size

    def encode(pixels: Any) -> Any:
        from keras import ops

        vector, grid = encoder.vector_and_grid_model(pixels, training=False)
        return vector, ops.reshape(grid, (-1, regions, grid_size))

    graph = _convert(
        encode,
        {"pixels": (PHOTOS, settings.size, settings.size, 3)},
        {"pixels": "uint8"},
        {VECTOR: (PHOTOS, settings.vector_size), GRID: (PHOTOS, regions, grid_size)},
    )
    _write(folder / ENCODER, graph, {"encoder": settings.name, "weights": encoder.fingerprint})


def _check_backend() -> None:
    import keras

    if keras.backend.backend() != "tensorflow":
        raise CaptioningError(
            f"export wants Keras on TensorFlow, and it runs on {keras.backend.backend()}; set "
            "KERAS_BACKEND=tensorflow"
        )


def _outputs_of(model: Any) -> list[Any]:
    return model.outputs if isinstance(model.outputs, list) else [model.outputs]


def _state_shape(shape: Sequence[int | None], words: str = WORDS) -> list[str | int]:
    """(P, K, width) of an LSTM's state, or (P, K, t, width) of the words before.

    words: the name of the third dimension; the state after a step has one word more.
    """
    return [PHOTOS, HYPOTHESES, *[words] * (len(shape) - 3), int(shape[-1] or 0)]


def _convert(
    function: Callable[..., Any], inputs: Shapes, kinds: Mapping[str, str], outputs: Shapes
) -> "onnx.ModelProto":
    """The function as an ONNX model with these inputs and outputs, in their order."""
    import tensorflow as tf  # the one place: only TensorFlow's graphs can be converted
    import tf2onnx
    from onnx import helper

    signature = [
        tf.TensorSpec([None if isinstance(s, str) else s for s in shape], kinds[name], name)
        for name, shape in inputs.items()
    ]
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    traced = tf.function(function, input_signature=signature)
    model, _ = tf2onnx.convert.from_function(traced, input_signature=signature, opset=17)
    graph = model.graph
    names = {value.name for value in graph.input}
    if names != inputs.keys():
        raise CaptioningError(f"the graph wants {sorted(names - inputs.keys())} as well")
    given = {value.name: value for value in graph.input}
    for name, shape in inputs.items():
        _set_shape(given[name], shape)
    # The results get their own names by operators that do nothing but rename.
    results = [value.name for value in graph.output]
    del graph.output[:]
    for name, shape, result in zip(outputs, outputs.values(), results, strict=True):
        graph.node.append(helper.make_node("Identity", [result], [name]))
        graph.output.append(helper.make_tensor_value_info(name, 1, list(shape)))
    _halve(graph)
    return model


def _set_shape(value: Any, shape: Sequence[str | int]) -> None:
    for dimension, side in zip(value.type.tensor_type.shape.dim, shape, strict=True):
        if isinstance(side, str):
            dimension.dim_param = side


def _halve(graph: Any) -> None:
    """Store weights in half precision where that loses nothing, and widen them in the graph."""
    from onnx import TensorProto, helper, numpy_helper

    widened = []
    for weights in graph.initializer:
        values = numpy_helper.to_array(weights)
        if values.dtype != np.float32 or values.size < FEWEST_HALVED:
            continue
        half = values.astype(np.float16)
        if np.array_equal(half.astype(np.float32), values):
            name = weights.name
            weights.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
            widened.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    for node in reversed(widened):
        graph.node.insert(0, node)


def _write(file: Path, model: "onnx.ModelProto", notes: Mapping[str, str]) -> None:
    from onnx import helper

    helper.set_model_props(model, dict(notes))
    with written_whole(file) as beside:
        beside.write_bytes(model.SerializeToString())
