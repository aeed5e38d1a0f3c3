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
    add_exclude_flickr8k,
    add_max_pixels,
    add_weights,
    check_at_least,
    check_views,
    command_parser,
    model_folder,
    path,
    refuse,
)
from captioning.commands.shards import wants_shards
from captioning.decoders.kinds import READ_GRIDS
from captioning.errors import CaptioningError, command_line, shown

if TYPE_CHECKING:
    from captioning.data.dataset import Dataset
    from captioning.data.source import Source
    from captioning.data.text import Tokenizer

IMAGES, TEXT = Path("Flicker8k_Dataset"), Path("Flickr_8k_text")
"""Where photos, captions and splits are unless others are named."""

AFTER_STOP = "the same command continues from here"


EXAMPLES = {
    "--download": "Flickr8k, fetched first (1.1 GB)",
    "--data captions.csv --images photos/": "a dataset of your own",
    "--encoder efficientnet-lite2 --grids": "for decoders with attention",
    "--check": "only look for what is wrong",
    "--shards photos/ -o vectors/": "of millions, on many processes and machines: --shards --help",
}


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    parser = command_parser("features", program, __doc__, EXAMPLES)
    add_input(parser.add_argument)
    add_encoding(parser.add_argument)
    return parser.parse_args(arguments)


def add_input(add: Callable[..., Any]) -> None:
    """The options on photos, captions and vocabulary, and where the results go."""
    default = "(default: %(default)s)"
    add(
        "--images",
        type=path,
        metavar="FOLDER",
        help=f"the folder of photos (default: {IMAGES}; with --data: the dataset's own)",
    )
    add(
        "--text",
        type=path,
        metavar="FOLDER",
        help=f"the folder of captions and splits (default: {TEXT})",
    )
    add_dataset(add)
    add(
        "--output",
        type=path,
        default="models",
        metavar="FOLDER",
        help=f"where the files go {default}",
    )
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


def add_dataset(add: Callable[..., Any]) -> None:
    """The options on datasets of other formats."""
    from captioning.data.recognise import format_names

    add(
        "--data",
        type=path,
        metavar="PATH",
        help="instead of --text: a dataset's folder or file, of any format of --data-format",
    )
    add(
        "--data-format",
        choices=format_names(),
        help="of --data (default: recognised)",
    )
    add(
        "--image-column",
        default="",
        metavar="NAME",
        help="of a table: the photos' file names (default: recognised)",
    )
    add(
        "--caption-column",
        action="append",
        default=[],
        metavar="NAME",
        help="of a table: the captions; may be given several times (default: recognised)",
    )
    add(
        "--split-column",
        default="",
        metavar="NAME",
        help="of a table: train, val (dev) or test (default: recognised)",
    )
    add_exclude_flickr8k(add)
    add(
        "--max-words",
        type=int,
        default=100,
        metavar="N",
        help="longer captions are left out (default: %(default)s)",
    )


def add_encoding(add: Callable[..., Any]) -> None:
    """The options on the encoder and what it computes."""
    default = "(default: %(default)s)"
    add(
        "--encoder",
        default="xception",
        metavar="NAME",
        help="xception, xception-block13, efficientnet-lite0, -lite1, -lite2, mini-xception, "
        "vgg16, resnet50, inception-v3, densenet201, efficientnet-b0, -b1, -b2, -b3, "
        f"efficientnet-v2-s, mobilenet-v3 or convnext-tiny {default}",
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
    if wants_shards(arguments):  # with options of its own
        from captioning.commands import features_shards

        return features_shards.main(arguments, program)
    options = parse_arguments(arguments, program)
    from captioning.data.dataset import dataset_of
    from captioning.data.flickr8k_photos import overlap_note, read_flickr8k_names
    from captioning.data.text import CLEANING
    from captioning.files.locks import only_run
    from captioning.vision.encoders import check_encoder

    check_at_least(options, 1, "batch_size", "min_count", "max_pixels", "max_words")
    check_input(options)
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

        download_flickr8k(options.images or IMAGES, options.text or TEXT)
    cleaning = tokenizer.cleaning if tokenizer else CLEANING
    source = open_source(options)
    dataset = dataset_of(source, cleaning=cleaning, max_words=options.max_words)
    print(dataset.report(), file=sys.stderr)
    note = overlap_note(source.files, dataset.photos, read_flickr8k_names(TEXT))
    if note and options.exclude_flickr8k is None:
        print(f"note: {note}", file=sys.stderr)
    with only_run(options.output):  # a second run would write the same files
        write_files(options, dataset, tokenizer)
    return 0


def check_input(options: argparse.Namespace) -> None:
    """Raise `CaptioningError` for options on the input that contradict each other."""
    columns = (options.image_column, options.caption_column, options.split_column)
    refuse(
        (options.data and options.text, "--data and --text are two datasets; give one of them"),
        (options.data and options.download, "--download fetches Flickr8k; leave out --data"),
        (options.data_format and not options.data, "--data-format wants --data"),
        (any(columns) and not options.data, "--image-column and the like want --data"),
    )


def open_source(options: argparse.Namespace) -> "Source":
    """The dataset of --data, otherwise that of --images and --text."""
    from captioning.data.captions import open_folders
    from captioning.data.recognise import open_dataset
    from captioning.data.source import Columns

    if options.data is None:
        source = open_folders(options.images or IMAGES, options.text or TEXT)
        return leave_out_flickr8k(options, source)
    columns = Columns(options.image_column, tuple(options.caption_column), options.split_column)
    source = open_dataset(options.data, options.data_format, options.images, columns)
    return leave_out_flickr8k(options, source)


def leave_out_flickr8k(options: argparse.Namespace, source: "Source") -> "Source":
    """The source, without Flickr8k's photos where that is asked for."""
    from captioning.data.flickr8k_photos import wanted_flickr8k_names, without_flickr8k

    if options.exclude_flickr8k is None:
        return source
    return without_flickr8k(source, wanted_flickr8k_names(options.exclude_flickr8k))


def follow_model(options: argparse.Namespace) -> "Tokenizer":
    """Set the encoder of --like's model, and grids if it attends to them; give its vocabulary."""
    from captioning.data.text import Tokenizer
    from captioning.inference.description import read_description
    from captioning.vision.own_weights import own_weights_of

    about = read_description(options.like)
    options.encoder = about["encoder"]["name"]
    if options.weights == "imagenet":
        options.weights = str(own_weights_of(options.like, options.encoder) or "imagenet")
    options.grids |= about.get("decoder") in READ_GRIDS
    return Tokenizer(tuple(about["words"]), about["cleaning"])


def report_check(options: argparse.Namespace) -> int:
    """Print the report on the data; 1 if something would harm a result."""
    from captioning.data.checks import check_source

    source = open_source(options)
    print(f"read as {source.format}: {source.files[0]}", file=sys.stderr)
    report = check_source(source, options.min_count, options.max_pixels, options.max_words)
    if options.format == "json":
        print(json.dumps(report.as_dict(), indent=1))
    else:
        print(report.as_text())
    return 1 if report.harms else 0


def keep_encoder(weights: str, output: Path) -> None:
    """A copy of a fine-tuned encoder's weights beside what it makes: the decoders need them."""
    from captioning.vision.own_weights import keep_own_weights

    keep_own_weights(Path(weights) if weights.endswith(".npz") else None, output)


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
    keep_encoder(options.weights, options.output)
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
        raise CaptioningError(f"none of the photos in {dataset.images} could be read")
