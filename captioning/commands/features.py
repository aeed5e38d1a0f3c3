"""Photos and captions -> descriptions.txt, tokenizer.p and features.p.

Run it first; train.py reads what it writes. Stopped, it goes on where it was when started again.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from captioning.backend import import_keras
from captioning.commands.options import add_max_pixels, add_weights, check_at_least, model_folder
from captioning.errors import CaptioningError, command_line, shown

if TYPE_CHECKING:
    from captioning.data.dataset import Dataset

AFTER_STOP = "the same command goes on from here"


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    parser = argparse.ArgumentParser(
        prog=program,
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--images", type=Path, default="Flicker8k_Dataset", help="the folder of photos")
    add("--text", type=Path, default="Flickr_8k_text", help="the folder of captions and splits")
    add("--output", type=Path, default="models", help="where the files go")
    add("--encoder", default="xception", help="xception, xception-block13 or mini-xception")
    add_weights(add)
    add("--batch-size", type=int, default=16, help="photos a step of the network")
    add(
        "--precision",
        choices=["auto", "float32", "bfloat16"],
        default="auto",
        help="in which the network computes; auto: bfloat16 where the processor has it built in",
    )
    add("--min-count", type=int, default=5, help="rarer words of the training captions are <unk>")
    add(
        "--like",
        type=model_folder,
        metavar="MODEL",
        help="for train.py --initial MODEL: with its encoder, its vocabulary, and grids if it "
        "looks at them; --encoder and --min-count don't count then",
    )
    add(
        "--grids",
        action="store_true",
        help="also keep the grid of each photo (200 KB), for the decoders that look at it",
    )
    add(
        "--views",
        type=int,
        default=1,
        metavar="N",
        help="with --grids: keep N views of each photo for training: itself, mirrored, two zoomed",
    )
    add_max_pixels(add)
    add(
        "--check",
        action="store_true",
        help="only look at photos, captions and splits, and report; exit code 1 if something "
        "would harm a result",
    )
    add("--format", choices=["text", "json"], default="text", help="of the report of --check")
    add("--download", action="store_true", help="fetch Flickr8k first (1.1 GB)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Check the data, then write the three files."""
    options = parse_arguments(arguments, program)
    from captioning.data.dataset import read_dataset
    from captioning.files.locks import only_run
    from captioning.vision.encoders import check_encoder
    from captioning.vision.views import VIEWS

    check_at_least(options, 1, "batch_size", "min_count", "max_pixels")
    words = take_after(options) if options.like else None
    if not 1 <= options.views <= len(VIEWS):
        raise CaptioningError(f"--views {options.views} is not from 1 to {len(VIEWS)}")
    if options.views > 1 and not options.grids:
        raise CaptioningError("--views wants --grids: vectors are of the photo itself alone")
    if options.check:
        return check(options)
    check_encoder(options.encoder, options.weights)
    if options.download:
        from captioning.data.download import download_flickr8k

        download_flickr8k(options.images, options.text)
    dataset = read_dataset(options.images, options.text)
    print(dataset.report(), file=sys.stderr)
    with only_run(options.output):
        write_files(options, dataset, words)
    return 0


def take_after(options: argparse.Namespace) -> list[str]:
    """Set the encoder of --like's model, and grids if it looks at them; give its words."""
    from captioning.inference.description import read_description

    about = read_description(options.like)
    options.encoder = about["encoder"]["name"]
    options.grids |= about.get("decoder", "merge") != "merge"
    return about["words"]


def check(options: argparse.Namespace) -> int:
    """Print the report on the data; 1 when something would harm a result."""
    from captioning.data.checks import check_data

    report = check_data(options.images, options.text, options.min_count, options.max_pixels)
    if options.format == "json":
        print(json.dumps(report.as_dict(), indent=1))
    else:
        print(report.as_text())
    return 1 if report.harms else 0


def write_files(options: argparse.Namespace, dataset: "Dataset", words: list[str] | None) -> None:
    """Encode the photos and write everything into the output's folder."""
    import_keras()
    from captioning.data.prepared import write_text_files
    from captioning.vision.encoders import load_encoder
    from captioning.vision.extraction import ExtractionSettings, extract_features

    encoder = load_encoder(options.encoder, options.weights, options.precision)
    print(f"{options.encoder} computes in {encoder.precision}", file=sys.stderr)
    tokenizer = write_text_files(dataset, options.output, options.min_count, words)
    print(f"{len(tokenizer.words):,} words in the vocabulary", file=sys.stderr)
    began = time.perf_counter()
    settings = ExtractionSettings(
        options.batch_size, options.views if options.grids else 0, options.max_pixels
    )
    features = extract_features(encoder, options.images, dataset.photos, options.output, settings)
    for name, reason in features.failed.items():
        print(f"passed over {shown(name)}: {shown(reason)}", file=sys.stderr)
    print(
        f"{len(features.vectors):,} vectors of {encoder.settings.vector_size:,} numbers in "
        f"{options.output / 'features.p'} ({time.perf_counter() - began:.0f} s); next: "
        f"{command_line('train')}"
        + f" --data {options.output}"
        * (options.output != Path("models")),
        file=sys.stderr,
    )
    if not features.vectors:
        raise CaptioningError(f"none of the photos in {options.images} could be read")
