"""caption --shards: captions for millions of photos, shard by shard."""

import argparse
import os
from collections.abc import Sequence

from captioning.commands.caption_options import add_text, check_wording
from captioning.commands.options import (
    DEFAULT_MODEL,
    add_decoding,
    add_max_pixels,
    add_runtime,
    add_weights,
    command_parser,
    model_folder,
)
from captioning.commands.shards import add_shards, check_shards, input_of, place_of, report, run
from captioning.errors import CaptioningError, command_line

EXAMPLES = {
    "--shards 'tars/*.tar' -o captions/": "one worker a processor",
    "--shards s3://b/tars -o s3://b/captions --distributor ray --ray-address auto": "on a cluster",
    "--shards list.txt -o captions/ --shard-index $SLURM_ARRAY_TASK_ID/100": "as a job array",
    "--shards photos/ -o captions/ --sentence --max-characters 125": "alt texts",
}

_CONVERT = f"convert a model of another project first: {command_line('convert')}"

NOT_FOR_SHARDS = {
    "--recursive": "folders are read with those below them",
    "-i": "the input is what follows --shards",
    "--image": "the input is what follows --shards",
    "--resume": "the same command goes on by itself",
    "--overwrite": "name another output with -o",
    "--existing": "a photo has its row in the output, and nothing beside it",
    "--short-names": "a photo has its row in the output, and nothing beside it",
    "--embed": "photos stay as they are; copy a folder's with the plain command",
    "--dry-run": "try the plain command on a few photos",
    "--unsure": "each row has its score; which share is least sure is known of all rows together",
    "--neighbours": "workers don't have the training data",
    "--neighbours-weight": "workers don't have the training data",
    "--attention": "it shows a single photo",
    "--explain": "it shows a single photo",
    "--tokenizer": _CONVERT,
    "--encoder": _CONVERT,
    "--padding": _CONVERT,
    "--max-length": _CONVERT,
}
"""The plain command's options that make no sense here, and what to do."""


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    parser = command_parser(
        "caption",
        program,
        "Caption the photos of shards, on as many processes and machines as there are.",
        EXAMPLES,
        "The same command goes on after a stop. Exit code: 0 all photos captioned, 1 some "
        "could not be, 2 a wrong argument or input.",
    )
    add_shards(parser.add_argument_group("shards").add_argument)
    add = parser.add_argument
    add("--model", type=model_folder, action="append", help=f"a model's folder {DEFAULT_MODEL}")
    add(
        "--format",
        choices=["jsonl", "parquet"],
        default="jsonl",
        help="of the results (default: %(default)s)",
    )
    add_weights(add)
    add_runtime(add)
    add_max_pixels(add)
    add_decoding(add)
    add(
        "--ban",
        default="",
        metavar="WORD,WORD",
        help="words that captions must not contain (default: none)",
    )
    add(
        "--max-words", type=int, metavar="N", help="the most words of a caption (default: no limit)"
    )
    add_text(parser.add_argument_group("what the captions say").add_argument)
    # What `settle_model` asks of the plain command's options.
    parser.set_defaults(attention=None, explain=None, neighbours=None, neighbours_weight=None)
    parser.set_defaults(tokenizer=None, encoder=None, max_length=None)
    parser.allow_abbrev = False  # --image would be --image-column
    options, unknown = parser.parse_known_args(arguments)
    check_unknown(unknown, parser)
    return options


def check_unknown(unknown: list[str], parser: argparse.ArgumentParser) -> None:
    """Raise `CaptioningError` for arguments of the plain command; others end with the usage."""
    for argument in unknown:
        name = argument.partition("=")[0]
        if name in NOT_FOR_SHARDS:
            raise CaptioningError(f"{name} isn't for --shards: {NOT_FOR_SHARDS[name]}")
    if unknown and not unknown[0].startswith("-"):
        raise CaptioningError(f"{unknown[0]}: with --shards, the input is what follows that option")
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Do the shards that are missing; 0 if each photo has its caption, otherwise 1."""
    options = parse_arguments(arguments, program)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from captioning.commands.caption import settle_model, wished, wording_of

    check_shards(options)
    check_wording(options)
    settle_model(options)
    if options.format == "parquet":
        import pyarrow  # noqa: F401  before anything is written
    source = input_of(options)
    from captioning.inference.loading import choose_runtime
    from captioning.inference.model_folder import read_model_folder
    from captioning.shards.captions import CaptionTask
    from captioning.shards.model_digest import digest_of_model

    models = [read_model_folder(folder) for folder in options.model]
    options.runtime = choose_runtime(models, options.weights, options.runtime)
    decoding = wished(options)
    decoding["ban"] = tuple(filter(None, decoding["ban"]))
    del decoding["neighbours"]  # of which there are none
    task = CaptionTask(
        tuple(place_of(model.folder) for model in models),
        tuple(digest_of_model(str(model.folder)) for model in models),
        tuple(decoding.items()),
        wording_of(options),
        options.top,
        options.max_pixels,
        options.weights,
        options.runtime,
    )
    return report(run(options, source, task, options.format), options.output, "captions")
