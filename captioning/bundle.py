"""A trained model's folder: save, load, check. Loading needs nothing but the folder.

`model.keras`     architecture and weights, the weights in half precision
`captioner.json`  vocabulary and cleaning rules, encoder and its preprocessing, maximal length,
                  decoding defaults, how it was trained, versions
`trained_on.txt`  digests of the training photos' names and contents, which must not be scored
`history.csv`, `curves.png`, `model.png`, `scores.json`  for people
"""

import csv
import hashlib
import io
import platform
import unicodedata
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from captioning.encoders import ENCODERS
from captioning.errors import CaptioningError
from captioning.files import read_json, read_text, write_json, write_text, written_whole
from captioning.images import VIEWS
from captioning.model_file import LARGEST_JSON, check_model_file
from captioning.text import CLEANING, Tokenizer

FORMAT = 1
ABOUT = "captioner.json"
MODEL = "model.keras"
TRAINED_ON = "trained_on.txt"
WIDEST_BEAM, STEEPEST = 1000, 100
"""The most that a beam and a length power may be: wider ones fill any memory."""
DIGITS = 12
"""So many hexadecimal digits of a digest are kept."""


def _is_number(value: Any, low: float, high: float, kind: type = int | float) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and low <= value <= high


def _is_word(value: Any) -> bool:
    """Whether it's a word that may be shown: no space, nothing that steers a terminal."""
    return isinstance(value, str) and value != "" and not any(
        c.isspace() or unicodedata.category(c) in ("Cc", "Cs") for c in value
    )


_PARTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "format": (lambda v: _is_number(v, 0, 1000, int), "whole number"),
    "encoder": (lambda v: isinstance(v, dict) and isinstance(v.get("weights"), str), "encoder"),
    "max_length": (lambda v: _is_number(v, 1, 10_000, int), "whole number from 1 to 10,000"),
    "decoding": (
        lambda v: isinstance(v, dict)
        and _is_number(v.get("beam"), 1, WIDEST_BEAM, int)
        and _is_number(v.get("length_power"), -STEEPEST, STEEPEST)
        and _is_number(v.get("views", 1), 1, len(VIEWS), int),
        "set of beam, length_power and views",
    ),
    "cleaning": (lambda v: isinstance(v, dict), "set of rules"),
    "words": (lambda v: isinstance(v, list) and v and all(map(_is_word, v)), "list of words"),
    "trained_at": (lambda v: isinstance(v, str), "text"),
    "decoder": (lambda v: isinstance(v, str), "text"),
    "training": (lambda v: isinstance(v, dict), "JSON object"),
}
"""What `captioner.json` must hold: a check of each part, and what it is."""


@dataclass(frozen=True)
class Bundle:
    """A trained model and all it takes to use it.

    encoder: the signature (settings and weights' fingerprint) of the encoder it was trained
    with; decoding: {"beam", "length_power"}; about: all of captioner.json.
    """

    folder: Path
    model: Any
    tokenizer: Tokenizer
    encoder: dict[str, Any]
    max_length: int
    decoding: dict[str, Any]
    about: dict[str, Any]


def save_bundle(
    folder: Path,
    model: Any,
    tokenizer: Tokenizer,
    encoder: dict[str, Any],
    max_length: int,
    training: dict[str, Any],
) -> None:
    """Write a model's folder; `captioner.json` comes last, so a folder that has it is whole."""
    import keras

    folder = Path(folder)
    (folder / ABOUT).unlink(missing_ok=True)
    with written_whole(folder / MODEL) as beside:
        keras.Model(model.inputs, model.outputs, name=model.name).save(beside)  # no optimizer
        _halve_weights(beside)
    about = {
        "format": FORMAT,
        "decoder": model.name,
        "encoder": encoder,
        "max_length": max_length,
        "decoding": {"beam": 1, "length_power": 0.7},
        "cleaning": CLEANING,
        "training": training,
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "python": platform.python_version(),
            "keras": keras.__version__,
            "backend": keras.backend.backend(),
        },
        "words": list(tokenizer.words),
    }
    write_json(folder / ABOUT, about)


def write_trained_on(
    folder: Path, names: list[str], contents: dict[str, str], before: Iterable[Path] = ()
) -> None:
    """Write down which photos a model was trained on: a row of digests a photo.

    They are of the file's name and, where `contents` has its SHA-256, of its content. before: the
    folders of the model that was trained further and of the teachers, whose photos count as well.
    """
    rows = [" ".join(filter(None, (_digest_of(n), contents.get(n, "")[:DIGITS]))) for n in names]
    for other in before:
        if (Path(other) / TRAINED_ON).is_file():
            rows += read_text(Path(other) / TRAINED_ON, "the training photos").splitlines()
    write_text(Path(folder) / TRAINED_ON, "".join(f"{row}\n" for row in dict.fromkeys(rows)))


def trained_on(
    folder: Path, names: Iterable[str], contents: dict[str, str] | None = None
) -> set[str] | None:
    """Those of the photos that a model's folder lists as trained on; None where it has no list.

    By file name or, where `contents` has their SHA-256, by content: a photo under another name
    is the same photo.
    """
    if not (Path(folder) / TRAINED_ON).is_file():
        return None
    known = set(read_text(Path(folder) / TRAINED_ON, "the training photos").split())
    contents = contents or {}
    return {n for n in names if _digest_of(n) in known or contents.get(n, "")[:DIGITS] in known}


def _digest_of(name: str) -> str:
    # File names needn't be UTF-8.
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]


def _halve_weights(file: Path) -> None:
    """Rewrite the weights inside a .keras file as float16: half the size, the same captions."""
    import h5py
    import numpy as np

    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(members["model.weights.h5"])
    smaller = io.BytesIO()
    with h5py.File(weights, "r") as old, h5py.File(smaller, "w") as new:

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Group):
                made = new.require_group(name)
            else:
                values = item[()]
                small = values.dtype == np.float32 and np.abs(values).max(initial=0) < 65504
                made = new.create_dataset(name, data=values.astype("float16") if small else values)
            made.attrs.update(item.attrs)

        new.attrs.update(old.attrs)
        old.visititems(copy)
    members["model.weights.h5"] = smaller.getvalue()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def read_about(folder: Path) -> dict[str, Any]:
    """`captioner.json` of a model's folder, checked; takes no time (no Keras).

    Raises `CaptioningError` naming the part that is missing or isn't what it must be.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CaptioningError(f"the model's folder {folder} is missing")
    for part in (ABOUT, MODEL):
        if not (folder / part).is_file():
            raise CaptioningError(f"the model's folder {folder} lacks {part}; train it again")
    about = read_json(folder / ABOUT, "the model's description", LARGEST_JSON)
    if not isinstance(about, dict):
        raise CaptioningError(f"{folder / ABOUT}: it is no JSON object")
    for key, (is_right, what) in _PARTS.items():
        if not is_right(about.get(key)):
            raise CaptioningError(f"{folder / ABOUT}: {key!r} is missing or no {what}")
    if about["format"] != FORMAT:
        raise CaptioningError(f"{folder / ABOUT}: format {about['format']} is not {FORMAT}")
    if about["cleaning"] != CLEANING:
        raise CaptioningError(
            f"{folder / ABOUT}: trained on captions cleaned by {about['cleaning']}, "
            f"but this program cleans by {CLEANING}"
        )
    _check_encoder(folder, about["encoder"])
    return about


def _check_encoder(folder: Path, signature: dict[str, Any]) -> None:
    name = signature.get("name")
    if not isinstance(name, str) or name not in ENCODERS:
        raise CaptioningError(
            f"{folder / ABOUT}: trained with the encoder {name!r}; there are {', '.join(ENCODERS)}"
        )
    for key, ours in ENCODERS[name].as_dict().items():
        if signature.get(key) != ours:
            raise CaptioningError(
                f"{folder / ABOUT}: trained with {key} {signature.get(key)!r} of {name}, "
                f"but this program's {name} has {ours!r}"
            )


def load_bundle(folder: Path) -> Bundle:
    """Load a model's folder. Raises `CaptioningError` when its parts are missing or don't fit."""
    import keras

    import captioning.decoders  # their layers' names are in the file

    folder = Path(folder)
    about = read_about(folder)
    tokenizer = Tokenizer(tuple(about["words"]))
    check_model_file(folder / MODEL)
    try:
        model = keras.models.load_model(folder / MODEL, compile=False, safe_mode=True)
    except Exception as error:  # zip, JSON, h5 and Keras errors alike
        reason = str(error).strip().split("\n")[0][:200]
        raise CaptioningError(f"cannot read {folder / MODEL}: {reason}") from None
    if model.name not in captioning.decoders.STEPS or len(model.inputs) != 2:
        raise CaptioningError(f"{folder / MODEL} is no decoder: its name is {model.name[:50]!r}")
    words, vector_size = model.outputs[0].shape[-1], model.inputs[0].shape[-1]
    if words != tokenizer.size:
        raise CaptioningError(
            f"{folder / MODEL} tells {words} words apart, but {ABOUT} beside it has "
            f"{tokenizer.size}: they are of two models"
        )
    if vector_size != about["encoder"]["vector_size"]:
        raise CaptioningError(
            f"{folder / MODEL} reads vectors of {vector_size} numbers, but the encoder named in "
            f"{ABOUT} gives {about['encoder']['vector_size']}: they are of two models"
        )
    return Bundle(
        folder, model, tokenizer, about["encoder"], about["max_length"], about["decoding"], about
    )


def write_history(folder: Path, history: list[dict[str, float]]) -> None:
    """Write `history.csv`, a row an epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, history[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(Path(folder) / "history.csv", text.getvalue())
