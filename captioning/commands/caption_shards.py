"""caption --shards: captions for millions of photos, shard by shard."""

import argparse
import os
from collections.abc import Sequence

from captioning.commands.options import (
    DEFAULT_MODEL,
    add_decoding,
    add_max_pixels,
    add_neutral,
    add_runtime,
    add_weights,
    check_at_least,
    check_decoding,
    command_parser,
    decoding_of,
    model_folder,
)
from captioning.commands.shards import add_shards, check_shards, input_of, place_of, report, run

EXAMPLES = {
    "--shards 'tars/*.tar' -o captions/": "one worker a processor",
    "--shards s3://b/tars -o s3://b/captions --distributor ray --ray-address auto": "on a cluster",
    "--shards list.txt -o captions/ --shard-index $SLURM_ARRAY_TASK_ID/100": "as a job array",
}


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
    add("--format", choices=["jsonl", "parquet"], default="jsonl", help="of the results")
    add_weights(add)
    add_runtime(add)
    add_max_pixels(add)
    add_decoding(add)
    add("--ban", default="", metavar="WORD,WORD", help="words that captions must not contain")
    add("--max-words", type=int, metavar="N", help="the most words of a caption")
    add_neutral(add)
    # What `settle_model` asks of the plain command's options.
    parser.set_defaults(top=1, attention=None, explain=None, max_characters=None, decorative=None)
    parser.set_defaults(tokenizer=None, encoder=None, max_length=None)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Do the shards that are missing; 0 if each photo has its caption, otherwise 1."""
    options = parse_arguments(arguments, program)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from captioning.commands.caption import settle_model

    check_shards(options)
    check_decoding(options)
    check_at_least(options, 1, "max_words", "max_pixels")
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
    decoding = decoding_of(options) | {
        "max_words": options.max_words,
        "ban": tuple(filter(None, options.ban.split(","))),
    }
    task = CaptionTask(
        tuple(place_of(model.folder) for model in models),
        tuple(digest_of_model(str(model.folder)) for model in models),
        tuple(decoding.items()),
        options.neutral,
        options.max_pixels,
        options.weights,
        options.runtime,
    )
    return report(run(options, source, task, options.format), options.output, "captions")
