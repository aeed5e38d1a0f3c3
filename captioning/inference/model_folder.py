"""A model's folder without its Keras model: all that captioning needs to know."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captioning.data.text import Tokenizer
from captioning.decoders.kinds import READ_GRIDS
from captioning.decoders.onnx_steps import STEP, OnnxSteps, has_graphs
from captioning.errors import CaptioningError, command_line
from captioning.inference.description import DESCRIPTION, read_description
from captioning.vision.encoders import UNKNOWN_WEIGHTS, grid_shape
from captioning.vision.onnx_encoder import has_onnx_encoder


@dataclass(frozen=True)
class ModelFolder:
    """What a model's folder says of the model.

    encoder: the signature (settings and weights' fingerprint) of the encoder it was trained with;
    max_length: words of the longest training caption; decoding: the defaults, {"beam",
    "length_power"} and perhaps "views"; description: all of captioner.json.
    """

    folder: Path
    tokenizer: Tokenizer
    encoder: dict[str, Any]
    max_length: int
    decoding: dict[str, Any]
    description: dict[str, Any]


def read_model_folder(folder: Path) -> ModelFolder:
    """Read a model's description. Raises `CaptioningError` as `read_description` does."""
    folder = Path(folder)
    description = read_description(folder)
    return ModelFolder(
        folder,
        Tokenizer(tuple(description["words"]), description["cleaning"]),
        description["encoder"],
        description["max_length"],
        description["decoding"],
        description,
    )


def check_vectors_fit(about: ModelFolder, made_by: dict[str, Any]) -> None:
    """Raise `CaptioningError` when vectors were made by another encoder than the model's.

    made_by: the signature of the encoder that made them.
    """
    key = misfit(about, made_by)
    if key:
        raise CaptioningError(
            f"the vectors were made with {key} {made_by.get(key)!r}, but the model in "
            f"{about.folder} was trained with {about.encoder[key]!r}"
        )


def misfit(about: ModelFolder, made_by: dict[str, Any]) -> str | None:
    """What differs between the encoder that made vectors and the model's; None if nothing does."""
    for key, wanted in about.encoder.items():
        if key == "weights" and UNKNOWN_WEIGHTS in (made_by.get(key), wanted):
            continue  # files of other projects don't tell
        if made_by.get(key) != wanted:
            return key
    return None


def is_exported(about: ModelFolder) -> bool:
    """Whether the model runs without Keras: its graphs are there, and its encoder can be had."""
    return has_graphs(about.folder) and has_onnx_encoder(about.encoder, about.folder)


def load_onnx_steps(about: ModelFolder) -> OnnxSteps:
    """The exported decoder of the folder, to be run word by word.

    Raises `CaptioningError` when it's damaged, or of another model than the description.
    """
    steps = OnnxSteps(about.folder)
    step_file = str(about.folder / STEP)
    check_sizes(about, step_file, steps.vocabulary, steps.photo_shape)
    if steps.notes.get("trained_at") != about.description["trained_at"]:
        raise CaptioningError(
            f"{step_file} was exported from another model than {DESCRIPTION} beside it describes; "
            f"export it again: {command_line('export')} {about.folder}"
        )
    return steps


def check_sizes(about: ModelFolder, file: str, tokens: Any, photo_shape: tuple[Any, ...]) -> None:
    """Raise `CaptioningError` when a network isn't of the model that the description describes.

    file: of the network; tokens: its vocabulary; photo_shape: of what it reads of a photo, (D,) or
    (regions, D).
    """
    size = about.tokenizer.size
    if tokens != size:
        raise CaptioningError(
            f"{file} has a vocabulary of {tokens} tokens, but {DESCRIPTION} beside it has {size}: "
            "they are of two models"
        )
    reads_grids = len(photo_shape) == 2
    if reads_grids != (about.description["decoder"] in READ_GRIDS):
        raise CaptioningError(
            f"{file} is no {about.description['decoder']} decoder, as {DESCRIPTION} beside it says"
        )
    expected = grid_shape(about.encoder)[1] if reads_grids else about.encoder["vector_size"]
    if photo_shape[-1] != expected:
        raise CaptioningError(
            f"{file} reads vectors of {photo_shape[-1]} numbers, but the encoder named in "
            f"{DESCRIPTION} gives {expected}: they are of two models"
        )
