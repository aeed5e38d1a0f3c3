"""The caption command's arguments: what they are called, and which values fit each other."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from captioning.commands.options import (
    DEFAULT_MODEL,
    add_decoding,
    add_max_pixels,
    add_neutral,
    add_runtime,
    add_weights,
    check_at_least,
    check_decoding,
    check_range,
    model_folder,
    refuse,
)
from captioning.errors import command_line

FORMATS = ("text", "csv", "jsonl", "html", "sidecar")
ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".html": "html", ".htm": "html"}
"""The format that an output file's ending asks for."""


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    parser = argparse.ArgumentParser(
        prog=program,
        description=f"Caption photos: {command_line('caption')} image.jpg",
        epilog="Captions go to standard output, messages to standard error. Exit code: 0 all "
        "photos captioned, 1 some of several could not be, 2 a wrong argument or photo.",
    )
    add = parser.add_argument
    add("paths", type=Path, nargs="*", metavar="PATH", help="photos, or folders of photos")
    add("-i", "--image", type=Path, nargs="+", default=[], metavar="PATH", help="the same")
    add("--recursive", action="store_true", help="also the photos in subfolders")
    add(
        "--model",
        type=model_folder,
        action="append",
        help=f"a model's folder {DEFAULT_MODEL}; given several times, the models are an ensemble",
    )
    add_weights(add)
    add_runtime(add)
    add_max_pixels(add)
    add_wording(parser.add_argument_group("what the captions say").add_argument)
    add_results(parser.add_argument_group("where the captions go").add_argument)
    # Intermixed: `caption --beam 5 photo.jpg` finds the photo behind the option.
    options = parser.parse_intermixed_args(arguments)
    options.image = [*options.paths, *options.image]
    if not options.image:
        parser.error("name a photo, or a folder of photos")
    return options


def add_wording(add: Callable[..., Any]) -> None:
    """The options on how to decode."""
    add_decoding(add)
    add("--ban", default="", metavar="WORD,WORD", help="words that captions must not contain")
    add(
        "--max-words",
        type=int,
        metavar="N",
        help="the most words of a caption (greedy models "
        "decode with --beam 5 then, as a beam prefers captions that end in time)",
    )
    add_neutral(add)
    add("--top", type=int, default=1, metavar="N", help="with --format jsonl: the N best captions")


def add_results(add: Callable[..., Any]) -> None:
    """The options on what to write, and where."""
    add(
        "--format",
        choices=FORMATS,
        help="of the results (default: by the ending of -o, otherwise text); "
        "html: a page of photos with alt texts; sidecar: photo.jpg.txt beside each photo, or in "
        "the folder -o",
    )
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write here instead of to standard output, each caption as it comes",
    )
    add(
        "--resume",
        action="store_true",
        help="continue where an earlier run with the same outputs "
        "was stopped; photos that could not be read are tried again",
    )
    add("--overwrite", action="store_true", help="replace outputs that exist")
    add(
        "--unsure",
        type=float,
        metavar="SHARE",
        help="mark the share (0.2: a fifth) of captions "
        "that the model is least sure of; known at the end, so standard output waits until then, "
        "and a file is marked when it is complete",
    )
    add(
        "--embed",
        type=Path,
        metavar="FOLDER",
        help="also copy the photos into this folder, with "
        "their captions as descriptions (XMP, IPTC, EXIF)",
    )
    add(
        "--attention",
        type=Path,
        metavar="FILE.png",
        help="of a single photo: draw what the decoder attends to at each word",
    )


def check_arguments(options: argparse.Namespace) -> None:
    """Choose the format, and raise `CaptioningError` for values that don't fit each other."""
    from captioning.inference.settings import WIDEST_BEAM

    if options.format is None:
        ending = options.output.suffix.lower() if options.output else ""
        options.format = ENDINGS.get(ending, "text")
    check_decoding(options)
    check_at_least(options, 1, "max_words", "max_pixels")
    check_range(options, "top", 1, WIDEST_BEAM)
    unsure = options.unsure is not None
    writes_files = options.output or options.embed or options.format == "sidecar"
    refuse(
        (
            unsure and not 0 < options.unsure < 1,
            f"--unsure {options.unsure} is not between 0 and 1",
        ),
        (
            unsure and options.format == "sidecar",
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
            options.beam is not None and options.top > options.beam,
            f"--top {options.top} wants a --beam at least as wide",
        ),
        (
            options.resume and options.overwrite,
            "--resume continues the outputs, --overwrite replaces them: give one of them",
        ),
        (options.resume and not writes_files, "--resume wants -o, which an earlier run wrote to"),
    )


def check_attention(options: argparse.Namespace, several: bool) -> None:
    """Raise `CaptioningError` if the picture of --attention can't be drawn."""
    picture = options.attention
    refuse(
        (several, "--attention draws a single photo; give one to -i"),
        (picture.suffix.lower() != ".png", f"--attention {picture} does not end in .png"),
        (
            picture.exists() and not options.overwrite,
            f"{picture} exists already; --overwrite replaces it",
        ),
    )
