"""The caption command's arguments: what they are called, and which values fit each other."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from captioning.commands.options import (
    DEFAULT_MODEL,
    add_decoding,
    add_max_pixels,
    add_neighbours,
    add_neutral,
    add_runtime,
    add_weights,
    check_at_least,
    check_decoding,
    check_range,
    command_parser,
    model_folder,
    path,
    refuse,
)
from captioning.commands.other_model import add_other_model
from captioning.errors import CaptioningError
from captioning.output.existing import EXISTING

EXAMPLES = {
    "photo.jpg": "one caption",
    "holiday/ -o captions.csv": "of a folder, as a table",
    "holiday/ --sentence --max-characters 125": "alt texts",
    "holiday/ --format xmp --dry-run": "what would be written",
    "--shards photos/ -o captions/": "of millions, on many processes and machines: --shards --help",
}

FORMATS = ("text", "csv", "jsonl", "html", "sidecar", "xmp")
PHOTO_FILES = ("sidecar", "xmp")
"""The formats that are a file a photo; -o names their folder."""

ENDINGS = {
    **{".csv": "csv", ".jsonl": "jsonl", ".html": "html", ".htm": "html"},
    **{".txt": "text", "": "text"},
}
"""The format that an output file's ending asks for."""


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    parser = command_parser(
        "caption",
        program,
        "Caption photos.",
        EXAMPLES,
        "Captions go to standard output, messages to standard error. Exit code: 0 all photos "
        "captioned, 1 some of several could not be, 2 a wrong argument or photo.",
    )
    add = parser.add_argument
    add("paths", type=path, nargs="*", metavar="PATH", help="photos, or folders of photos")
    add(
        "-i",
        "--image",
        type=path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="the same, elsewhere in the line",
    )
    add("--recursive", action="store_true", help="also the photos in subfolders")
    add(
        "--model",
        type=model_folder,
        action="append",
        help=f"a model's folder {DEFAULT_MODEL}; given several times, the models decide together, "
        "each by its own encoder; they need the same vocabulary",
    )
    add_weights(add)
    add_other_model(parser.add_argument_group("models of other projects").add_argument)
    add_runtime(add)
    add_max_pixels(add)
    add_wording(parser.add_argument_group("what the captions say").add_argument)
    add_results(parser.add_argument_group("where the captions go").add_argument)
    add_what_is_there(parser.add_argument_group("what is there already").add_argument)
    # Intermixed: `caption --beam 5 photo.jpg` finds the photo behind the option.
    options = parser.parse_intermixed_args(arguments)
    options.image = [*options.paths, *options.image]
    if not options.image:
        parser.error("name a photo, or a folder of photos")
    return options


def add_wording(add: Callable[..., Any]) -> None:
    """The options on how to decode."""
    add_decoding(add)
    add_neighbours(add)
    add(
        "--ban",
        default="",
        metavar="WORD,WORD",
        help="words that captions must not contain (default: none)",
    )
    add(
        "--max-words",
        type=int,
        metavar="N",
        help="the most words of a caption (default: no limit; with one, greedy models decode with "
        "--beam 5, as a beam prefers captions that end in time)",
    )
    add_text(add)


def add_text(add: Callable[..., Any]) -> None:
    """The options on what becomes of a caption's words: `Wording`."""
    add_neutral(add)
    add("--sentence", action="store_true", help="a capital first, a full stop last")
    add(
        "--max-characters",
        type=int,
        metavar="N",
        help="the most characters of a caption (125 for alt texts): the beam's likeliest that is "
        "short enough, or else one that is cut at a word, with an ellipsis (default: no limit)",
    )
    add(
        "--template",
        default="{caption}",
        metavar="TEXT",
        help='what is written: "{folder}: {caption}"; {name} is the file\'s name without its '
        "ending, {file} with it, {path} all of it (default: the caption alone)",
    )
    add(
        "--decorative",
        type=float,
        metavar="SHARE",
        help="an empty caption, as decorative pictures have for an alt text, for photos less "
        "familiar than this (0.02: in which the model sees nothing that it knows; default: "
        "for none)",
    )
    add(
        "--top",
        type=int,
        default=1,
        metavar="N",
        help="the N best captions, in rows that are JSON (or Parquet, with --shards; default: "
        "%(default)s)",
    )


def add_results(add: Callable[..., Any]) -> None:
    """The options on what to write, and where."""
    add(
        "--format",
        choices=FORMATS,
        help="of the results (default: by the ending of -o, otherwise text); "
        "html: a page of photos with alt texts; sidecar: photo.jpg.txt beside each photo, or in "
        "the folder -o; xmp: photo.jpg.xmp, whose other fields are kept",
    )
    add(
        "--short-names",
        action="store_true",
        help="sidecars are named photo.txt and photo.xmp, as Lightroom and the trainers of image "
        "models look for them",
    )
    add(
        "-o",
        "--output",
        type=path,
        metavar="FILE",
        help="write here instead of to standard output, each caption as it comes",
    )
    add(
        "--embed",
        type=path,
        metavar="FOLDER",
        help="also copy the photos into this folder, with "
        "their captions as descriptions (XMP, IPTC, EXIF)",
    )
    add(
        "--unsure",
        type=float,
        metavar="SHARE",
        help="mark the share (0.2: a fifth) of captions "
        "that the model is least sure of; known at the end, so standard output waits until then, "
        "and a file is marked when it is complete (default: none)",
    )
    add(
        "--attention",
        type=path,
        metavar="FILE.png",
        help="of a single photo: draw what the decoder attends to at each word",
    )
    add(
        "--explain",
        type=path,
        metavar="FILE.html",
        help="of a single photo: a page with the likeliest words at each place, where the decoder "
        "looked, and all that the beam kept",
    )
    add("--dry-run", action="store_true", help="print what would be written, and write nothing")


def add_what_is_there(add: Callable[..., Any]) -> None:
    """The options on outputs and captions that exist."""
    add(
        "--resume",
        action="store_true",
        help="continue where an earlier run with the same outputs "
        "was stopped; photos that could not be read are tried again",
    )
    add("--overwrite", action="store_true", help="replace outputs that exist")
    add(
        "--existing",
        choices=EXISTING,
        help="what becomes of captions that photos have already, in sidecars, .xmp files, and with "
        "--embed in the photo itself: skip such photos, replace the caption, or write the new one "
        "behind or before it (default: sidecars that exist are refused)",
    )


def check_wording(options: argparse.Namespace) -> None:
    """Raise `CaptioningError` for values of `add_wording` that can't be."""
    from captioning.inference.settings import WIDEST_BEAM
    from captioning.output.wording import check_template

    check_decoding(options)
    check_at_least(options, 1, "max_words", "max_characters", "max_pixels")
    check_range(options, "top", 1, WIDEST_BEAM)
    check_range(options, "decorative", 0, 1)
    check_template(options.template)
    refuse(
        (
            options.beam is not None and options.top > options.beam,
            f"--top {options.top} wants a --beam at least as wide",
        ),
    )


def check_arguments(options: argparse.Namespace) -> None:
    """Choose the format, and raise `CaptioningError` for values that don't fit each other."""
    choose_format(options)
    check_wording(options)
    unsure, a_file_a_photo = options.unsure is not None, options.format in PHOTO_FILES
    refuse(
        (
            unsure and not 0 < options.unsure < 1,
            f"--unsure {options.unsure} is not between 0 and 1",
        ),
        (
            unsure and a_file_a_photo,
            "--unsure: a sidecar holds the caption alone; use another --format",
        ),
        (
            unsure and options.resume and options.format == "text",
            "--unsure can't continue text, which keeps no scores; use --format csv or jsonl",
        ),
        (
            options.top > 1 and options.format != "jsonl",
            "--top wants --format jsonl: the other formats have one caption per photo",
        ),
        (
            options.resume and options.overwrite,
            "--resume continues the outputs, --overwrite replaces them: give one of them",
        ),
        (
            options.resume and not (options.output or options.embed or a_file_a_photo),
            "--resume wants -o, which an earlier run wrote to",
        ),
        (
            options.existing and not (options.embed or a_file_a_photo),
            "--existing is about captions in sidecars, .xmp files and photos: it wants --format "
            "sidecar, --format xmp or --embed",
        ),
        (
            options.short_names and not a_file_a_photo,
            "--short-names names sidecars: it wants --format sidecar or --format xmp",
        ),
        (
            options.dry_run and (options.attention or options.explain or unsure),
            "--dry-run prints captions alone; leave --attention, --explain and --unsure out",
        ),
    )


def choose_format(options: argparse.Namespace) -> None:
    """Set --format where none was given; raises `CaptioningError` for what can't be written to."""
    if options.output == Path("-"):  # as in many programs: standard output
        options.output = None
    output = options.output
    if output and output.exists() and not (output.is_file() or output.is_dir()):
        raise CaptioningError(
            f"-o {output} is no file that can grow; without -o captions go to standard output"
        )
    if options.format is None:
        options.format = format_by_ending(options.output) if options.output else "text"


def format_by_ending(output: Path) -> str:
    """The format that an output file's name asks for; raises `CaptioningError` for an unknown one.

    Text under the name of a document or a spreadsheet would be a file that nothing opens.
    """
    ending = output.suffix.lower()
    if ending not in ENDINGS:
        known = ", ".join(sorted(filter(None, ENDINGS)))
        raise CaptioningError(
            f"-o {output}: there is no format for {ending}; known are {known}, or name one with "
            "--format"
        )
    return ENDINGS[ending]


def check_pictures(options: argparse.Namespace, several: bool) -> None:
    """Raise `CaptioningError` if the files of --attention and --explain can't be made."""
    for name, file, endings in (
        ("--attention", options.attention, (".png",)),
        ("--explain", options.explain, (".html", ".htm")),
    ):
        if file is None:
            continue
        refuse(
            (several, f"{name} shows a single photo; give one to -i"),
            (
                file.suffix.lower() not in endings,
                f"{name} {file} does not end in {' or '.join(endings)}",
            ),
            (
                file.exists() and not options.overwrite,
                f"{file} exists already; --overwrite replaces it",
            ),
        )
