"""features --shards: vectors and grids of millions of photos, shard by shard."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from captioning.commands.features import add_encoding, follow_model, keep_encoder, open_source
from captioning.commands.options import (
    check_at_least,
    check_views,
    command_parser,
    model_folder,
    path,
    refuse,
)
from captioning.commands.shards import add_shards, check_shards, input_of, place_of, report, run
from captioning.errors import CaptioningError, command_line

EXAMPLES = {
    "--shards tars/ -o vectors/ --encoder efficientnet-lite2": "one worker a processor",
    "--shards photos/ -o data/ --text Flickr_8k_text --grids": "with captions, to train on",
}


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    from captioning.data.recognise import format_names

    parser = command_parser(
        "features",
        program,
        "Vectors and grids of the photos of shards, on as many processes and machines "
        f"as there are. `{command_line('train')}` reads them where captions are beside them.",
        EXAMPLES,
        "The same command goes on after a stop. Exit code: 0 all photos have vectors, 1 "
        "some could not be read, 2 a wrong argument or input.",
    )
    add_shards(parser.add_argument_group("shards").add_argument)
    add = parser.add_argument_group("captions, to train on them").add_argument
    add(
        "--text",
        type=path,
        metavar="FOLDER",
        help="a folder of captions and splits in Flickr8k's layout",
    )
    add("--data", type=path, metavar="PATH", help="or a dataset's folder or file, of other formats")
    add("--data-format", choices=format_names(), help="of --data (default: recognised)")
    add(
        "--images",
        type=path,
        metavar="FOLDER",
        help="the folder of photos that the captions' names are in",
    )
    add(
        "--min-count",
        type=int,
        default=5,
        metavar="N",
        help="rarer words become <unk> (default: %(default)s)",
    )
    add(
        "--max-words",
        type=int,
        default=100,
        metavar="N",
        help="longer captions are left out (default: %(default)s)",
    )
    add = parser.add_argument_group("encoder").add_argument
    add("--like", type=model_folder, metavar="MODEL", help="that of a model, with its vocabulary")
    add_encoding(add)
    parser.set_defaults(caption_column=[], split_column="", exclude_flickr8k=None)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Do the shards that are missing, and the captions' files; 1 if some photos have no vector."""
    options = parse_arguments(arguments, program)
    check_shards(options)
    check_at_least(options, 1, "min_count", "max_words", "max_pixels")
    like = follow_model(options) if options.like else None
    check_views(options)
    refuse(
        (options.data and options.text, "--data and --text are two datasets; give one of them"),
        (
            options.views > 1 and not options.grids,
            "--views wants --grids: vectors are of the photo itself alone",
        ),
    )
    has_captions = options.data or options.text
    if has_captions and "://" in options.output:
        raise CaptioningError("--data and --text are written to a folder of this machine with -o")
    source = input_of(options)
    if has_captions:
        from captioning.data.dataset import dataset_of
        from captioning.data.text import CLEANING

        cleaning = like.cleaning if like else CLEANING
        dataset = dataset_of(open_source(options), cleaning=cleaning, max_words=options.max_words)
        print(dataset.report(), file=sys.stderr)
    from captioning.shards.vectors import features_task

    task = features_task(
        options.encoder,
        options.weights,
        options.precision,
        options.views if options.grids else 0,
        options.max_pixels,
        place_of(options.like) if options.like else "",
    )
    options.runtime = task.runtime
    summary = run(options, source, task, "jsonl")
    if has_captions:
        from captioning.data.prepared import write_text_files

        write_text_files(dataset, Path(options.output), options.min_count, like)
        keep_encoder(options.weights, Path(options.output))
    return report(summary, options.output, "vectors")
