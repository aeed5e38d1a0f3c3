"""Models of other projects: a network of Keras and the tokenizer it was trained with.

Both are files, `model_9.h5` and `tokenizer.p`, and neither says what it belongs to: here they are
held against each other and against an encoder. They caption as they are, or become a model's folder
of ours.
"""

import io
import json
import platform
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from captioning.data.keras_tokenizer import KerasTokenizer, read_keras_tokenizer
from captioning.data.text import CLEANING, Tokenizer
from captioning.decoders.ensemble import Ensemble
from captioning.decoders.kinds import PREFIX
from captioning.errors import CaptioningError
from captioning.files.network_files import NetworkFile, read_network
from captioning.files.text import write_json
from captioning.files.whole import written_whole
from captioning.inference.caption_decoder import CaptionDecoder
from captioning.inference.captioner import Captioner, LazyEncoder
from captioning.inference.description import DESCRIPTION, FORMAT, MODEL
from captioning.inference.model_folder import ModelFolder
from captioning.inference.prefix_steps import (
    PrefixSteps,
    WordNumbers,
    number_words,
    words_place,
)
from captioning.vision.encoders import ENCODERS, UNKNOWN_WEIGHTS

LENGTH = 32
"""Words of a caption where the network doesn't say: what the old captioning script has."""


@dataclass(frozen=True)
class OtherModel:
    """A model of another project, its parts held against each other.

    about: what a model's folder would say; network: its file; numbers: of its words; steps: the
    network, run word by word.
    """

    about: ModelFolder
    network: NetworkFile
    numbers: WordNumbers
    steps: PrefixSteps


@dataclass(frozen=True)
class OtherFiles:
    """Where a model of another project is, and what its files don't tell.

    encoder: what made the vectors it was trained on, None for the first of that size; padding: as
    in `PADDINGS`; length: the words of a caption, None for those of the network.
    """

    model: Path
    tokenizer: Path
    encoder: str | None = None
    padding: str = "pre"
    length: int | None = None


def read_other_model(files: OtherFiles) -> OtherModel:
    """The model of these files.

    Raises `CaptioningError` when one is missing, damaged or hostile, and when they don't fit each
    other or the encoder, naming both sizes.
    """
    tokenizer = read_keras_tokenizer(files.tokenizer)
    network = read_network(files.model)
    from captioning.backend import import_keras

    import_keras()
    from captioning.decoders.rebuilding import gives_probabilities, rebuild

    model = rebuild(network)
    place = words_place(model)
    row, vector = (model.inputs[one].shape[-1] for one in (place, 1 - place))
    size = model.outputs[0].shape[-1]
    encoder = encoder_for(vector, files.encoder, str(files.model))
    check_vocabulary(tokenizer, size, files)
    words, numbers = number_words(tokenizer, size, files.padding)
    check_embeddings(model, numbers, str(files.model))
    length = row or files.length or LENGTH
    description: dict[str, Any] = {
        "format": FORMAT,
        "decoder": PREFIX,
        "encoder": {**ENCODERS[encoder].as_dict(), "weights": UNKNOWN_WEIGHTS},
        "max_length": min(length, files.length or length),
        "decoding": {"beam": 1, "length_power": 0.7},
        "cleaning": CLEANING,
        "training": {"converted_from": [files.model.name, files.tokenizer.name]},
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), "keras": network.keras},
        "words": words,
        "row": length,
        "numbers": numbers.as_dict(),
    }
    about = ModelFolder(
        files.model,
        Tokenizer(tuple(words)),
        description["encoder"],
        description["max_length"],
        description["decoding"],
        description,
    )
    return OtherModel(
        about,
        network,
        numbers,
        PrefixSteps(model, numbers, length, gives_probabilities(model)),
    )


def encoder_for(vector_size: Any, name: str | None, what: str) -> str:
    """The encoder of vectors of that size: the named one, otherwise the first that gives such.

    what: the file that has or wants them, for messages. Raises `CaptioningError` naming both sizes.
    """
    sizes = {settings.name: settings.vector_size for settings in ENCODERS.values()}
    if name is not None:
        if name not in sizes:
            raise CaptioningError(f"no encoder is named {name!r}; there are {', '.join(sizes)}")
        if sizes[name] != vector_size:
            raise CaptioningError(
                f"{what} has vectors of {vector_size} numbers, and the encoder {name} gives "
                f"{sizes[name]}; name another with --encoder"
            )
        return name
    for found, size in sizes.items():
        if size == vector_size:
            return found
    raise CaptioningError(
        f"{what} has vectors of {vector_size} numbers, and no encoder gives so many: "
        + ", ".join(f"{found} {size}" for found, size in sizes.items())
    )


def check_vocabulary(tokenizer: KerasTokenizer, size: int, files: OtherFiles) -> None:
    """Raise `CaptioningError` when the network's output isn't for the tokenizer's words."""
    largest = max(tokenizer.word_index.values())
    # The usual len(word_index) + 1, one more or less by mistake, or as many as num_words.
    fitting = {largest, largest + 1, largest + 2}
    if tokenizer.num_words:
        fitting |= {tokenizer.num_words, tokenizer.num_words + 1}
    if size not in fitting:
        raise CaptioningError(
            f"{files.model} chooses among {size:,} word numbers, and {files.tokenizer} has "
            f"{len(tokenizer.word_index):,} words, numbered up to {largest:,}: they are of two "
            "models"
        )


def check_embeddings(model: Any, numbers: WordNumbers, what: str) -> None:
    """Raise `CaptioningError` when the network would be given numbers that it doesn't know."""
    largest = max((n for given in numbers.given() for n in given), default=0)
    for layer in model.layers:
        known = getattr(layer, "input_dim", None) if "mbedding" in type(layer).__name__ else None
        if known is not None and known <= largest:
            raise CaptioningError(
                f"{what} reads word numbers below {known:,}, and those of the tokenizer go up to "
                f"{largest:,}: they are of two models"
            )


def load_other(files: OtherFiles, weights: str = "imagenet") -> Captioner:
    """The captioner of a model of another project; weights: of its encoder.

    Raises `CaptioningError` as `read_other_model` does.
    """
    from captioning.vision.encoders import load_encoder

    other = read_other_model(files)
    name = other.about.encoder["name"]
    decoder = CaptionDecoder(other.about, Ensemble([other.steps]))
    encoder = LazyEncoder(other.about, False, partial(load_encoder, name, weights))
    return Captioner(decoder, [encoder])


def save_other_model(other: OtherModel, folder: Path) -> None:
    """Write a model's folder; `captioner.json` comes last, so a folder that has it is whole."""
    (folder / DESCRIPTION).unlink(missing_ok=True)
    _write_network(other.network, folder / MODEL)
    write_json(folder / DESCRIPTION, other.about.description)


def _write_network(network: NetworkFile, path: Path) -> None:
    """The network in the layout of `.keras`; only what `read_network` needs, and exact."""
    import h5py

    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        for number, (name, arrays) in enumerate(network.weights.items()):
            group = file.create_group(f"layers/layer_{number}/vars")
            group.attrs["name"] = name
            for place, array in enumerate(arrays):
                group.create_dataset(str(place), data=array)
    members: dict[str, str | bytes] = {
        "config.json": json.dumps({"class_name": "Functional", "config": network.layers}),
        "metadata.json": json.dumps({"keras_version": network.keras}),
        "model.weights.h5": weights.getvalue(),
    }
    with written_whole(path) as beside, zipfile.ZipFile(beside, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def load_prefix_steps(about: ModelFolder) -> PrefixSteps:
    """The network of a converted model's folder, run word by word.

    Raises `CaptioningError` when its parts are missing, damaged, or of two models.
    """
    from captioning.decoders.rebuilding import gives_probabilities, rebuild

    file = about.folder / MODEL
    try:
        row, words = about.description["row"], len(about.tokenizer.words)
        if type(row) is not int or not 1 <= row <= 10_000:
            raise ValueError(f"a row of {row!r} words")
        numbers = WordNumbers.from_dict(about.description["numbers"], words)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CaptioningError(
            f"{about.folder / DESCRIPTION}: 'row' or 'numbers' is missing or damaged ({error}); "
            "convert the model again"
        ) from None
    model = rebuild(read_network(file))
    place = words_place(model)
    own_row, vector = (model.inputs[one].shape[-1] for one in (place, 1 - place))
    for what, theirs, ours in (
        ("word numbers", model.outputs[0].shape[-1], numbers.size),
        ("numbers of a vector", vector, about.encoder["vector_size"]),
        ("words of a row", own_row or row, row),
    ):
        if theirs != ours:
            raise CaptioningError(
                f"{file} has {theirs:,} {what}, but {DESCRIPTION} beside it has {ours:,}: they are "
                "of two models"
            )
    check_embeddings(model, numbers, str(file))
    return PrefixSteps(model, numbers, row, gives_probabilities(model))
