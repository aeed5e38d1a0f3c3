"""Photos and captions -> descriptions.txt, tokenizer.p and features.p.

The first step: training reads these files. After a stop, the same command continues.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captioning.backend import import_keras
from captioning.commands.options import (
    add_max_pixels,
    add_weights,
    check_at_least,
    check_views,
    model_folder,
)
from captioning.errors import CaptioningError, command_line, shown

if TYPE_CHECKING:
    from captioning.data.dataset import Dataset
    from captioning.data.text import Tokenizer

AFTER_STOP = "the same command continues from here"


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    add_input(parser.add_argument)
    add_encoding(parser.add_argument)
    return parser.parse_args(arguments)


def add_input(add: Callable[..., Any]) -> None:
    """The options on photos, captions and vocabulary, and where the results go."""
    default = "(default: %(default)s)"
    add(
        "--images",
        type=Path,
        default="Flicker8k_Dataset",
        help=f"the folder of photos {default}",
    )
    add(
        "--text",
        type=Path,
        default="Flickr_8k_text",
        help=f"the folder of captions and splits {default}",
    )
    add("--output", type=Path, default="models", help=f"where the files go {default}")
    add("--download", action="store_true", help="download Flickr8k first (1.1 GB)")
    add(
        "--min-count",
        type=int,
        default=5,
        metavar="N",
        help=f"words that are rarer in the training captions become <unk> {default}",
    )
    add(
        "--like",
        type=model_folder,
        metavar="MODEL",
        help=f"for `{command_line('train')} --initial MODEL`: with its encoder, its vocabulary, "
        "and grids if it attends to them; --encoder and --min-count are ignored then",
    )
    add(
        "--check",
        action="store_true",
        help="only check photos, captions and splits, and report; exit code 1 if something "
        "would harm a result",
    )
    add(
        "--format",
        choices=["text", "json"],
        default="text",
        help=f"of the report of --check {default}",
    )


def add_encoding(add: Callable[..., Any]) -> None:
    """The options on the encoder and what it computes."""
    default = "(default: %(default)s)"
    add(
        "--encoder",
        default="xception",
        help="xception, xception-block13, efficientnet-lite0, -lite1, -lite2 or mini-xception "
        f"{default}",
    )
    add_weights(add)
    add("--batch-size", type=int, default=16, metavar="N", help=f"photos per batch {default}")
    add(
        "--precision",
        choices=["auto", "float32", "bfloat16"],
        default="auto",
        help=f"that the network computes in; auto: bfloat16 if the processor supports it {default}",
    )
    add(
        "--grids",
        action="store_true",
        help="also keep the grid of each photo (200 KB), for the decoders with attention",
    )
    add(
        "--views",
        type=int,
        default=1,
        metavar="N",
        help="with --grids: keep N views of each photo for training: itself, mirrored, two zoomed "
        f"{default}",
    )
    add_max_pixels(add)


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Check the data, then write the three files; with --check, 1 if something is wrong."""
    options = parse_arguments(arguments, program)
    from captioning.data.dataset import read_dataset
    from captioning.files.locks import only_run
    from captioning.vision.encoders import check_encoder

    check_at_least(options, 1, "batch_size", "min_count", "max_pixels")
    # First, as it sets --grids, which --views needs.
    tokenizer = follow_model(options) if options.like else None
    check_views(options)
    if options.views > 1 and not options.grids:
        raise CaptioningError("--views wants --grids: vectors are of the photo itself alone")
    if options.check:
        return report_check(options)
    check_encoder(options.encoder, options.weights)
    if options.download:
        from captioning.data.download import download_flickr8k

        download_flickr8k(options.images, options.text)
    dataset = read_dataset(options.images, options.text)
    print(dataset.report(), file=sys.stderr)
    with only_run(options.output):  # a second run would write the same files
        write_files(options, dataset, tokenizer)
    return 0


def follow_model(options: argparse.Namespace) -> "Tokenizer":
    """Set the encoder of --like's model, and grids if it attends to them; give its vocabulary."""
    from captioning.data.text import Tokenizer
    from captioning.inference.description import read_description

    about = read_description(options.like)
    options.encoder = about["encoder"]["name"]
    options.grids |= about.get("decoder", "merge") != "merge"
    return Tokenizer(tuple(about["words"]), about["cleaning"])


def report_check(options: argparse.Namespace) -> int:
    """Print the report on the data; 1 if something would harm a result."""
    from captioning.data.checks import check_data

    report = check_data(options.images, options.text, options.min_count, options.max_pixels)
    if options.format == "json":
        print(json.dumps(report.as_dict(), indent=1))
    else:
        print(report.as_text())
    return 1 if report.harms else 0


def write_files(options: argparse.Namespace, dataset: "Dataset", like: "Tokenizer | None") -> None:
    """Encode the photos and write everything into the output's folder.

    like: the tokenizer of the model to train further, instead of a fitted one.
    """
    import_keras()
    from captioning.data.prepared import write_text_files
    from captioning.vision.encoders import load_encoder
    from captioning.vision.extraction import ExtractionSettings, extract_features

    encoder = load_encoder(options.encoder, options.weights, options.precision)
    print(f"{options.encoder} computes in {encoder.precision}", file=sys.stderr)
    tokenizer = write_text_files(dataset, options.output, options.min_count, like)
    print(f"{len(tokenizer.words):,} words in the vocabulary", file=sys.stderr)
    began = time.perf_counter()
    settings = ExtractionSettings(
        options.batch_size, options.views if options.grids else 0, options.max_pixels
    )
    features = extract_features(encoder, dataset.photo, dataset.photos, options.output, settings)
    for name, reason in features.failed.items():
        print(f"skipped {shown(name)}: {shown(reason)}", file=sys.stderr)
    data = "" if options.output == Path("models") else f" --data {options.output}"
    print(
        f"{len(features.vectors):,} vectors of {encoder.settings.vector_size:,} numbers in "
        f"{options.output / 'features.p'} ({time.perf_counter() - began:.0f} s); "
        f"next: {command_line('train')}{data}",
        file=sys.stderr,
    )
    if not features.vectors:
        raise CaptioningError(f"none of the photos in {options.images} could be read")
