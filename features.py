"""Photos and captions -> descriptions.txt, tokenizer.p and features.p.

Run it first; train.py reads what it writes. Stopped, it goes on where it was when started again.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from captioning.errors import CaptioningError, import_keras, run_script, shown

if TYPE_CHECKING:
    from captioning.dataset import Dataset


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--images", type=Path, default="Flicker8k_Dataset", help="the folder of photos")
    add("--text", type=Path, default="Flickr_8k_text", help="the folder of captions and splits")
    add("--output", type=Path, default="models", help="where the files go")
    add("--encoder", default="xception", help="xception, xception-block13 or mini-xception")
    add("--weights", default="imagenet", help="imagenet (fetched and cached by Keras) or a file")
    add("--batch-size", type=int, default=16, help="photos a step of the network")
    add("--precision", choices=["auto", "float32", "bfloat16"], default="auto",
        help="in which the network computes; auto: bfloat16 where the processor has it built in")
    add("--min-count", type=int, default=5, help="rarer words of the training captions are <unk>")
    add("--like", type=Path, metavar="MODEL",
        help="for train.py --initial MODEL: with its encoder, its vocabulary, and grids if it "
        "looks at them; --encoder and --min-count don't count then")
    add("--grids", action="store_true",
        help="also keep the grid of each photo (200 KB), for the decoders that look at it")
    add("--views", type=int, default=1, metavar="N",
        help="with --grids: keep N views of each photo for training: itself, mirrored, two zoomed")
    add("--max-pixels", type=int, default=200_000_000, metavar="N",
        help="photos with more pixels are passed over before they are decoded")
    add("--check", action="store_true",
        help="only look at photos, captions and splits, and report; exit code 1 if something "
        "would harm a result")
    add("--format", choices=["text", "json"], default="text", help="of the report of --check")
    add("--download", action="store_true", help="fetch Flickr8k first (1.1 GB)")
    return parser.parse_args()


def main() -> int:
    """Check the data, then write the three files."""
    arguments = parse_arguments()
    from captioning.dataset import read_dataset
    from captioning.encoders import check_encoder
    from captioning.files import only_run
    from captioning.images import VIEWS

    for name in ("batch_size", "min_count", "max_pixels"):
        if getattr(arguments, name) < 1:
            raise CaptioningError(f"--{name.replace('_', '-')} must be at least 1")
    words = take_after(arguments) if arguments.like else None
    if not 1 <= arguments.views <= len(VIEWS):
        raise CaptioningError(f"--views {arguments.views} is not from 1 to {len(VIEWS)}")
    if arguments.views > 1 and not arguments.grids:
        raise CaptioningError("--views wants --grids: vectors are of the photo itself alone")
    if arguments.check:
        return check(arguments)
    check_encoder(arguments.encoder, arguments.weights)
    if arguments.download:
        from captioning.download import download_flickr8k

        download_flickr8k(arguments.images, arguments.text)
    dataset = read_dataset(arguments.images, arguments.text)
    print(dataset.report(), file=sys.stderr)
    with only_run(arguments.output):
        write_files(arguments, dataset, words)
    return 0


def take_after(arguments: argparse.Namespace) -> list[str]:
    """Set the encoder of --like's model, and grids if it looks at them; give its words."""
    from captioning.bundle import read_about

    about = read_about(arguments.like)
    arguments.encoder = about["encoder"]["name"]
    arguments.grids |= about.get("decoder", "merge") != "merge"
    return about["words"]


def check(arguments: argparse.Namespace) -> int:
    """Print the report on the data; 1 when something would harm a result."""
    from captioning.data_check import check_data

    report = check_data(
        arguments.images, arguments.text, arguments.min_count, arguments.max_pixels
    )
    if arguments.format == "json":
        print(json.dumps(report.as_dict(), indent=1))
    else:
        print(report.as_text())
    return 1 if report.harms else 0


def write_files(
    arguments: argparse.Namespace, dataset: "Dataset", words: list[str] | None
) -> None:
    """Encode the photos and write everything into the output's folder."""
    import_keras()
    from captioning.encoders import load_encoder
    from captioning.extraction import extract_features
    from captioning.prepare import write_text_files

    encoder = load_encoder(arguments.encoder, arguments.weights, arguments.precision)
    print(f"{arguments.encoder} computes in {encoder.precision}", file=sys.stderr)
    tokenizer = write_text_files(dataset, arguments.output, arguments.min_count, words)
    print(f"{len(tokenizer.words):,} words in the vocabulary", file=sys.stderr)
    began = time.perf_counter()
    features = extract_features(
        encoder, arguments.images, dataset.photos, arguments.output, arguments.batch_size,
        arguments.views * arguments.grids, arguments.max_pixels,
    )
    for name, reason in features.failed.items():
        print(f"passed over {shown(name)}: {shown(reason)}", file=sys.stderr)
    print(
        f"{len(features.vectors):,} vectors of {encoder.settings.vector_size:,} numbers in "
        f"{arguments.output / 'features.p'} ({time.perf_counter() - began:.0f} s); next: "
        f"python train.py" + (f" --data {arguments.output}" * (arguments.output != Path("models"))),
        file=sys.stderr,
    )
    if not features.vectors:
        raise CaptioningError(f"none of the photos in {arguments.images} could be read")


if __name__ == "__main__":
    run_script(main, "the same command goes on from here")
