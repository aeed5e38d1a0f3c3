"""Options on models of other projects, and loading them: a network's file and its tokenizer's."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from captioning.commands.options import path
from captioning.errors import CaptioningError, command_line

if TYPE_CHECKING:
    from captioning.inference.captioner import Captioner
    from captioning.inference.other_models import OtherFiles


def add_other_model(add: Callable[..., Any]) -> None:
    """The options that name the files of such a model, and what they don't tell."""
    add(
        "--tokenizer",
        type=path,
        metavar="FILE",
        help="what --model model_9.h5 was trained with: tokenizer.p, or Tokenizer.to_json()",
    )
    add_encoder(add)
    add(
        "--padding",
        choices=["pre", "post"],
        default="pre",
        help="where it filled its rows of word numbers (default: before the caption, as Keras)",
    )
    add(
        "--max-length",
        type=int,
        metavar="N",
        help="words of a caption (default: what the network reads)",
    )


def add_encoder(add: Callable[..., Any]) -> None:
    """--encoder: what made the vectors, which the files don't tell."""
    add(
        "--encoder",
        metavar="NAME",
        help="what made the vectors it was trained on (default: the first encoder of that size, "
        "xception for 2,048 numbers, vgg16 for 4,096)",
    )


def files_of(options: argparse.Namespace) -> "OtherFiles":
    """The files that the options name. Raises `CaptioningError` for one that isn't there."""
    from captioning.inference.other_models import OtherFiles

    model = options.model[0] if isinstance(options.model, list) else options.model
    for what, file in (("model", model), ("tokenizer", options.tokenizer)):
        if not file.is_file():
            raise CaptioningError(f"there is no {what} {file}")
    if options.max_length is not None and not 1 <= options.max_length <= 1000:
        raise CaptioningError(f"--max-length {options.max_length} is not from 1 to 1,000")
    return OtherFiles(
        model, options.tokenizer, options.encoder, options.padding, options.max_length
    )


def read_about(options: argparse.Namespace) -> dict[str, Any]:
    """The description of the models that --model names; of a file, what is known before Keras.

    Raises `CaptioningError` for models that can't be read, or can't decide together.
    """
    from captioning.inference.description import read_ensemble_description

    if options.tokenizer is None:
        if options.model[0].is_file():
            raise CaptioningError(
                f"{options.model[0]} is a network's file, not a model's folder; name its tokenizer "
                "too: --tokenizer tokenizer.p"
            )
        for name in ("encoder", "max_length"):
            if getattr(options, name) is not None:
                raise CaptioningError(
                    f"--{name.replace('_', '-')} is for a network's file with its --tokenizer; a "
                    "model's folder says it itself"
                )
        return read_ensemble_description(options.model)
    if len(options.model) > 1:
        raise CaptioningError(
            "--tokenizer belongs to one --model; to let several decide together, convert each: "
            f"{command_line('convert')}"
        )
    files = files_of(options)
    from captioning.data.keras_tokenizer import read_keras_tokenizer
    from captioning.data.text import CLEANING
    from captioning.decoders.kinds import PREFIX

    return {
        "encoder": {"name": files.encoder or "xception"},
        "decoder": PREFIX,
        "decoding": {"beam": 1},
        "words": read_keras_tokenizer(files.tokenizer).vocabulary,
        "cleaning": CLEANING,
    }


def load_model(options: argparse.Namespace) -> "Captioner":
    """The captioner of --model: of folders, or of a file with its tokenizer."""
    if options.tokenizer is None:
        from captioning.inference.loading import load

        return load(
            *options.model,
            weights=options.weights,
            runtime=options.runtime,
            neighbours=options.neighbours,
        )
    if options.neighbours:
        raise CaptioningError(
            "--neighbours wants a model's folder; make one of these files with: "
            f"{command_line('convert')}"
        )
    if options.runtime == "onnx":
        raise CaptioningError("--runtime onnx: a network of another project is run by Keras")
    from captioning.inference.other_models import load_other

    captioner = load_other(files_of(options), options.weights)
    if options.encoder is None:
        name = captioner.trained_model.encoder["name"]
        print(f"encoder: {name} (--encoder names another)", file=sys.stderr)
    return captioner
