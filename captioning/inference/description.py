"""`captioner.json`: the description of a trained model in its folder, read and checked."""

import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from captioning.data.text import CLEANINGS
from captioning.decoders.kinds import DECODERS
from captioning.decoders.onnx_steps import has_graphs
from captioning.errors import CaptioningError, command_line
from captioning.files.folders import check_folder
from captioning.files.keras_files import LARGEST_JSON
from captioning.files.text import read_json
from captioning.inference.settings import HEAVIEST, STEEPEST, WIDEST_BEAM
from captioning.vision.encoders import ENCODERS
from captioning.vision.views import VIEWS

FORMAT = 1
"""Of `captioner.json`; a program of another format refuses the file."""

DESCRIPTION = "captioner.json"

MODEL = "model.keras"


def read_description(folder: Path) -> dict[str, Any]:
    """`captioner.json` of a model's folder, checked; takes no time (no Keras).

    Raises `CaptioningError` naming the part that is missing or isn't valid.
    """
    folder = Path(folder)
    check_folder(folder, "the model's folder")
    for part in (DESCRIPTION, MODEL):
        if not (folder / part).is_file() and not (part == MODEL and has_graphs(folder)):
            raise CaptioningError(
                f"the model's folder {folder} lacks {part}; "
                f"train it again with: {command_line('train')}"
            )
    path = folder / DESCRIPTION
    description = read_json(path, "the model's description", LARGEST_JSON)
    if not isinstance(description, dict):
        raise CaptioningError(f"{path}: expected a JSON object")
    # Parts before their meaning: what follows may rely on their types.
    for key, (is_valid, expected) in _PARTS.items():
        if not is_valid(description.get(key)):
            raise CaptioningError(f"{path}: {key!r} is missing or no {expected}")
    if description["format"] != FORMAT:
        raise CaptioningError(
            f"{path}: its format is {description['format']}, this program reads format {FORMAT}"
        )
    if description["cleaning"] not in CLEANINGS:
        raise CaptioningError(
            f"{path}: trained on captions cleaned by {description['cleaning']}, "
            f"but this program cleans by {' or '.join(map(str, CLEANINGS))}"
        )
    _check_encoder(path, description["encoder"])
    return description


def read_ensemble_description(folders: Sequence[str | Path]) -> dict[str, Any]:
    """The description of the first of these models, whose defaults hold; at once (no Keras).

    Raises `CaptioningError` as `read_description` does, and for models of different vocabularies,
    which can't decide together.
    """
    descriptions = {str(folder): read_description(Path(folder)) for folder in folders}
    check_ensemble(descriptions)
    return next(iter(descriptions.values()))


def check_ensemble(descriptions: dict[str, dict[str, Any]]) -> None:
    """Raise `CaptioningError` for models of different vocabularies.

    descriptions: of each model by its folder.
    """
    (first, own), *others = descriptions.items()
    for folder, description in others:
        if description["words"] != own["words"]:
            raise CaptioningError(
                f"{first} and {folder} can't decide together: each has another vocabulary; "
                f"{command_line('features')} --like {first} prepares data for a model with the "
                "same words"
            )


def read_encoders(folders: Sequence[str | Path]) -> list[dict[str, Any]]:
    """The encoders' signatures of these models, each once, the first model's first.

    Raises `CaptioningError` as `read_description` does.
    """
    encoders: list[dict[str, Any]] = []
    for folder in folders:
        signature = read_description(Path(folder))["encoder"]
        if signature not in encoders:
            encoders.append(signature)
    return encoders


def _is_number(value: Any, low: float, high: float) -> bool:
    # bool is a subclass of int, but true is no number to a reader of the file.
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _is_whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and _is_number(value, low, high)


def _is_word(value: Any) -> bool:
    """Whether it's a word that may be shown: no space, nothing that steers a terminal."""
    return (
        isinstance(value, str)
        and value != ""
        and not any(c.isspace() or unicodedata.category(c) in ("Cc", "Cs") for c in value)
    )


def _is_decoding(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _is_whole(value.get("beam"), 1, WIDEST_BEAM)
        and _is_number(value.get("length_power"), -STEEPEST, STEEPEST)
        and _is_whole(value.get("views", 1), 1, len(VIEWS))
        and _is_number(value.get("critic", 0), 0, HEAVIEST)
    )


_PARTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "format": (lambda v: _is_whole(v, 0, 1000), "whole number"),
    "encoder": (lambda v: isinstance(v, dict) and isinstance(v.get("weights"), str), "encoder"),
    "max_length": (lambda v: _is_whole(v, 1, 10_000), "whole number from 1 to 10,000"),
    "decoding": (_is_decoding, "set of beam, length_power, views and critic"),
    "cleaning": (lambda v: isinstance(v, dict), "set of rules"),
    "words": (lambda v: isinstance(v, list) and v != [] and all(map(_is_word, v)), "list of words"),
    "trained_at": (lambda v: isinstance(v, str), "text"),
    "decoder": (
        lambda v: isinstance(v, str) and v in DECODERS,
        f"decoder ({', '.join(DECODERS)})",
    ),
    "training": (lambda v: isinstance(v, dict), "JSON object"),
}
"""What `captioner.json` must hold: a check of each part, and what it is."""


def _check_encoder(path: Path, signature: dict[str, Any]) -> None:
    """Raise `CaptioningError` for an encoder that this program doesn't have, or not like this."""
    name = signature.get("name")
    if not isinstance(name, str) or name not in ENCODERS:
        raise CaptioningError(
            f"{path}: trained with the encoder {name!r}; this program has {', '.join(ENCODERS)}"
        )
    for key, ours in ENCODERS[name].as_dict().items():
        if signature.get(key) != ours:
            raise CaptioningError(
                f"{path}: trained with {key} {signature.get(key)!r} of {name}, "
                f"but this program's {name} has {ours!r}"
            )
