"""`captioner.json`: what a model's folder says of itself, checked."""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from captioning.data.text import CLEANING
from captioning.errors import CaptioningError
from captioning.files.keras_files import LARGEST_JSON
from captioning.files.text import read_json
from captioning.inference.settings import STEEPEST, WIDEST_BEAM
from captioning.vision.encoders import ENCODERS
from captioning.vision.views import VIEWS

FORMAT = 1


DESCRIPTION = "captioner.json"


MODEL = "model.keras"


def _is_number(value: Any, low: float, high: float, kind: type = int | float) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and low <= value <= high


def _is_word(value: Any) -> bool:
    """Whether it's a word that may be shown: no space, nothing that steers a terminal."""
    return (
        isinstance(value, str)
        and value != ""
        and not any(c.isspace() or unicodedata.category(c) in ("Cc", "Cs") for c in value)
    )


_PARTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "format": (lambda v: _is_number(v, 0, 1000, int), "whole number"),
    "encoder": (lambda v: isinstance(v, dict) and isinstance(v.get("weights"), str), "encoder"),
    "max_length": (lambda v: _is_number(v, 1, 10_000, int), "whole number from 1 to 10,000"),
    "decoding": (
        lambda v: (
            isinstance(v, dict)
            and _is_number(v.get("beam"), 1, WIDEST_BEAM, int)
            and _is_number(v.get("length_power"), -STEEPEST, STEEPEST)
            and _is_number(v.get("views", 1), 1, len(VIEWS), int)
        ),
        "set of beam, length_power and views",
    ),
    "cleaning": (lambda v: isinstance(v, dict), "set of rules"),
    "words": (lambda v: isinstance(v, list) and v and all(map(_is_word, v)), "list of words"),
    "trained_at": (lambda v: isinstance(v, str), "text"),
    "decoder": (lambda v: isinstance(v, str), "text"),
    "training": (lambda v: isinstance(v, dict), "JSON object"),
}
"""What `captioner.json` must hold: a check of each part, and what it is."""


def read_description(folder: Path) -> dict[str, Any]:
    """`captioner.json` of a model's folder, checked; takes no time (no Keras).

    Raises `CaptioningError` naming the part that is missing or isn't what it must be.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CaptioningError(f"the model's folder {folder} is missing")
    for part in (DESCRIPTION, MODEL):
        if not (folder / part).is_file():
            raise CaptioningError(f"the model's folder {folder} lacks {part}; train it again")
    about = read_json(folder / DESCRIPTION, "the model's description", LARGEST_JSON)
    if not isinstance(about, dict):
        raise CaptioningError(f"{folder / DESCRIPTION}: it is no JSON object")
    for key, (is_right, what) in _PARTS.items():
        if not is_right(about.get(key)):
            raise CaptioningError(f"{folder / DESCRIPTION}: {key!r} is missing or no {what}")
    if about["format"] != FORMAT:
        raise CaptioningError(f"{folder / DESCRIPTION}: format {about['format']} is not {FORMAT}")
    if about["cleaning"] != CLEANING:
        raise CaptioningError(
            f"{folder / DESCRIPTION}: trained on captions cleaned by {about['cleaning']}, "
            f"but this program cleans by {CLEANING}"
        )
    _check_encoder(folder, about["encoder"])
    return about


def _check_encoder(folder: Path, signature: dict[str, Any]) -> None:
    name = signature.get("name")
    if not isinstance(name, str) or name not in ENCODERS:
        raise CaptioningError(
            f"{folder / DESCRIPTION}: trained with the encoder {name!r}; there are "
            f"{', '.join(ENCODERS)}"
        )
    for key, ours in ENCODERS[name].as_dict().items():
        if signature.get(key) != ours:
            raise CaptioningError(
                f"{folder / DESCRIPTION}: trained with {key} {signature.get(key)!r} of {name}, "
                f"but this program's {name} has {ours!r}"
            )
