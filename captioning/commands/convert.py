"""Files of another project into ours: a model's folder, or a folder of data to train with."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from captioning.commands.options import command_parser, path
from captioning.commands.other_model import add_other_model, files_of
from captioning.errors import CaptioningError, command_line

WRITTEN = ("captioner.json", "model.keras", "features.p", "descriptions.txt", "splits.json")


EXAMPLES = {
    "--model model_9.h5 --tokenizer tokenizer.p --output models/old": "a model's folder",
    "--features features.p --descriptions descriptions.txt --output data": "data to train with",
}


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    parser = command_parser("convert", program, __doc__, EXAMPLES)
    add = parser.add_argument
    add(
        "--model",
        type=path,
        metavar="FILE",
        help="a network of Keras 2 or 3: .h5, .keras, or .json with its weights beside it",
    )
    add_other_model(add)
    add_data(parser.add_argument_group("data").add_argument)
    add("--output", type=path, required=True, metavar="FOLDER", help="where the files go")
    add("--overwrite", action="store_true", help="replace what is there")
    return parser.parse_args(arguments)


def add_data(add: Callable[..., Any]) -> None:
    """The options on vectors and captions."""
    add("--features", type=path, metavar="FILE", help="features.p or .pkl: vectors by photo")
    add("--descriptions", type=path, metavar="FILE", help="descriptions.txt: captions by photo")
    add(
        "--text",
        type=path,
        metavar="FOLDER",
        help="with Flickr_8k.trainImages.txt and its neighbours (default: photos are shared out)",
    )


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Read the files, hold them against each other, and only then write."""
    options = parse_arguments(arguments, program)
    check_arguments(options)
    from captioning.files.locks import only_run

    with only_run(options.output):
        if options.model:
            convert_model(options)
        if options.features:
            convert_data(options)
    return 0


def check_arguments(options: argparse.Namespace) -> None:
    """Raise `CaptioningError` for files that are missing, or not enough of them."""
    if not options.model and not options.features:
        raise CaptioningError(
            "nothing to convert: give --model with --tokenizer, or --features with --descriptions"
        )
    for one, other in (("model", "tokenizer"), ("features", "descriptions")):
        if getattr(options, one) and not getattr(options, other):
            raise CaptioningError(f"--{one} wants --{other} too")
    for name in ("model", "tokenizer", "features", "descriptions"):
        path = getattr(options, name)
        if path is not None and not path.is_file():
            raise CaptioningError(f"there is no file {path} (--{name})")
    there = [name for name in WRITTEN if (options.output / name).exists()]
    if there and not options.overwrite:
        raise CaptioningError(
            f"{options.output / there[0]} exists already; --overwrite replaces it"
        )


def convert_model(options: argparse.Namespace) -> None:
    """Write the model's folder."""
    from captioning.inference.other_models import read_other_model, save_other_model

    other = read_other_model(files_of(options))
    save_other_model(other, options.output)
    about = other.about
    guessed = "" if options.encoder else " (--encoder names another)"
    print(
        f"{len(about.tokenizer.words):,} words, captions of up to {about.max_length}, encoder "
        f"{about.encoder['name']}{guessed}; next: {command_line('caption')} --model "
        f"{options.output} -i photo.jpg",
        file=sys.stderr,
    )


def convert_data(options: argparse.Namespace) -> None:
    """Write the folder of data, as the features command does."""
    from captioning.data.other_files import OtherData, read_vectors, write_other_data
    from captioning.inference.other_models import encoder_for
    from captioning.vision.encoders import ENCODERS, UNKNOWN_WEIGHTS

    vectors = read_vectors(options.features)
    size = next(iter(vectors.values())).shape[1]
    encoder = encoder_for(size, options.encoder, str(options.features))
    made_by = {**ENCODERS[encoder].as_dict(), "weights": UNKNOWN_WEIGHTS}
    data = OtherData(options.features, options.descriptions, options.text, options.tokenizer)
    counts = write_other_data(data, vectors, made_by, options.output)
    told = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    guessed = "" if options.encoder else " (--encoder names another)"
    print(
        f"{len(vectors):,} vectors of {size:,} numbers, encoder {encoder}{guessed}; photos with "
        f"captions: {told}; next: {command_line('train')} --data {options.output}",
        file=sys.stderr,
    )
