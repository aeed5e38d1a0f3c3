"""Caption photos."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    decoding_of,
    model_folder,
    refuse,
)
from captioning.errors import CaptioningError, command_line, shown

if TYPE_CHECKING:
    from captioning.data.photos import Found
    from captioning.inference.captioner import Caption, Captioner
    from captioning.output.interfaces import Output, RowFormat

FORMATS = ("text", "csv", "jsonl", "html", "sidecar")
ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".html": "html", ".htm": "html"}
"""The format that an output file's ending asks for."""

AFTER_STOP = "with -o, the captions so far are saved: the same command with --resume continues"


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


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Caption photos; 0 if all were, 1 if some of several could not be, 2 if the only one."""
    options = parse_arguments(arguments, program)
    # NumPy multiplies little here, and its threads take a tenth of a second to start.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    check_arguments(options)
    # All checks come before the model is loaded: a wrong path is reported at once.
    settle_model(options)
    from captioning.data.photos import photos_of

    found = photos_of(options.image, options.recursive)
    photos = found.photos
    # A folder counts as several, however many photos are in it: its output has names.
    several = len(photos) > 1 or any(path.is_dir() for path in options.image)
    if not several and not photos[0].exists():
        raise CaptioningError(f"there is no file {photos[0]}")
    if options.attention:
        check_attention(options, several)
    with ExitStack() as stack:
        outputs = open_outputs(options, photos, several, stack)
        # Skipping what all outputs have: a run may have been stopped between two of them.
        remaining = [p for p in photos if not all(output.has(p) for output in outputs)]
        if options.resume:
            print(
                f"{len(photos) - len(remaining):,} of {len(photos):,} photos are done already",
                file=sys.stderr,
            )
        report_left_out(found)
        failed = len(found.unreadable)
        if remaining:
            from captioning.inference.loading import load

            captioner = load(*options.model, weights=options.weights, runtime=options.runtime)
            failed += caption_all(captioner, remaining, outputs, options)
        # Also if nothing remained: the earlier run may have been stopped before it marked.
        for output in outputs:
            output.finish()
    if failed and not several:
        return 2
    return 1 if failed else 0


def report_left_out(found: "Found") -> None:
    """Say on standard error which of the given folders hold no photo, and which can't be read."""
    from captioning.data.photos import describe_empty

    lines = [f"note: {describe_empty(folder)}" for folder in found.empty]
    lines += [f"skipped the folder {path}: {why}" for path, why in found.unreadable.items()]
    for line in lines:
        print(shown(line), file=sys.stderr)


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


def settle_model(options: argparse.Namespace) -> None:
    """Choose the model if none was named, and the beam if what was asked for needs one.

    Raises `CaptioningError` for what the models' descriptions rule out.
    """
    from captioning.inference.description import read_ensemble_description
    from captioning.inference.models import choose_model, models_folder, shipped_folder
    from captioning.vision.encoders import check_encoder

    if options.model is None:
        options.model = [choose_model(models_folder(), shipped_folder())]
        print(f"model: {options.model[0]}", file=sys.stderr)
    about = read_ensemble_description(options.model)
    check_encoder(about["encoder"]["name"], options.weights)
    own_beam = about["decoding"].get("beam", 1)
    # A beam has no more hypotheses than it is wide. (A narrower --beam was refused already.)
    if options.top > (options.beam or own_beam):
        options.beam = max(5, options.top)
    if options.max_words and options.beam is None and own_beam == 1:
        # A beam prefers captions that end within the limit; greedy search would cut them off.
        options.beam = 5
    check_decoding(options, own_beam)
    refuse(
        (
            options.attention and len(options.model) > 1,
            "--attention shows what one decoder attends to; give one --model",
        ),
        (
            options.attention and options.neutral,
            "--attention shows the model's own words, --neutral changes them; give one of the two",
        ),
        (
            options.attention and about.get("decoder") == "merge",
            f"the merge decoder of {options.model[0]} has no attention: it reads a photo as one "
            "vector; --attention wants a model with an attention or transformer decoder",
        ),
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


def open_outputs(
    options: argparse.Namespace, photos: list[Path], several: bool, stack: ExitStack
) -> "list[Output]":
    """Everything that each caption is written to, locked until `stack` closes.

    Raises `CaptioningError` if an output exists already, or another run is writing to it.
    """
    from captioning.output.photo_files import PhotoFiles
    from captioning.output.rows_file import RowsFile
    from captioning.output.sidecars import write_sidecar
    from captioning.output.standard_output import StandardOutput
    from captioning.output.targets import only_writer, refuse_existing, refuse_inside, targets_of

    def open_photo_files(
        write: "Callable[[Caption, Path], None]", folder: Path | None, ending: str
    ) -> PhotoFiles:
        targets = targets_of(photos, options.image, folder, ending)
        if folder is not None:
            stack.enter_context(only_writer(folder))
        if not (options.resume or options.overwrite):
            refuse_existing(targets)
        return PhotoFiles(targets, write, options.resume)

    outputs: list[Output] = []
    if options.format == "sidecar":
        outputs.append(open_photo_files(write_sidecar, options.output, ".txt"))
    if options.embed:
        from captioning.output.embedding import check_embedding, write_copy

        check_embedding()
        # Only --recursive would find the copies in a subfolder the next time.
        refuse_inside(options.embed, options.image if options.recursive else [])
        outputs.append(open_photo_files(write_copy, options.embed, ""))
    if options.format == "sidecar":
        return outputs  # -o is the folder of the sidecars then, not a file of rows
    rows = row_format(options, several)
    if options.output is None:
        return [*outputs, StandardOutput(rows, options.unsure)]
    stack.enter_context(only_writer(options.output))
    file = RowsFile(options.output, rows, options.resume, options.overwrite, options.unsure)
    return [*outputs, file]


def row_format(options: argparse.Namespace, several: bool) -> "RowFormat":
    """How captions are written as rows. A single photo's text needs no name."""
    from captioning.output.row_formats import CsvFormat, JsonLinesFormat, TextFormat

    if options.format == "csv":
        return CsvFormat(marks=options.unsure is not None)
    if options.format == "jsonl":
        return JsonLinesFormat(options.top)
    if options.format == "html":
        from captioning.output.html_format import HtmlFormat

        return HtmlFormat((options.output.parent if options.output else Path()).resolve())
    return TextFormat(named=several or options.output is not None)


def caption_all(
    captioner: "Captioner", photos: list[Path], outputs: "list[Output]", options: argparse.Namespace
) -> int:
    """Caption the photos into the outputs, with a bar on a terminal; how many could not be."""
    from captioning.output.standard_output import write_beside_bar

    captions = captioner.caption(
        photos,
        options.top,
        options.max_pixels,
        max_words=options.max_words,
        ban=options.ban.split(","),
        **decoding_of(options),
    )
    if options.neutral:
        captions = map(neutral, captions)
    failed = 0
    shares: list[float | None] = []  # of each photo that has a caption now, `Caption.familiar`
    # disable=None: a bar only on a terminal. A single photo is done before one would show.
    if len(photos) > 1:
        from tqdm import tqdm

        captions = tqdm(captions, total=len(photos), unit=" photos", disable=None)
    for caption in captions:
        error = caption.error or write_caption(caption, outputs)
        if error:
            failed += 1
            write_beside_bar(shown(f"skipped {caption.image}: {error}") + "\n", sys.stderr)
            continue
        shares.append(caption.familiar)
        if options.attention:
            draw_attention(captioner, caption.image, caption.caption, options)
    if options.format in ("text", "sidecar"):  # the other formats hold each photo's share
        warn_of_unfamiliar(shares)
    return failed


def neutral(caption: "Caption") -> "Caption":
    """The caption, and each of its likeliest, without the gender of people."""
    from captioning.data.neutral import without_gender

    best: dict[str, float] = {}
    for text, score in caption.best:
        best.setdefault(without_gender(text), score)  # two may have differed in a gender alone
    return replace(caption, caption=without_gender(caption.caption), best=list(best.items()))


def warn_of_unfamiliar(shares: Sequence[float | None]) -> None:
    """Say on standard error how many photos are unlike those that the model learned from.

    shares: `Caption.familiar` of all captioned photos. Nothing is said where none is unlike them.
    """
    from captioning.inference.familiarity import is_unfamiliar

    unlike = sum(map(is_unfamiliar, shares))
    if unlike and len(shares) == 1:
        print(
            "note: this photo is unlike those that the model learned from "
            f"(familiar {shares[0]:.1%}); don't rely on the caption",
            file=sys.stderr,
        )
    elif unlike:
        print(
            f"note: {unlike:,} of {len(shares):,} photos are unlike those that the model learned "
            "from; don't rely on their captions; --format csv names them",
            file=sys.stderr,
        )


def write_caption(caption: "Caption", outputs: "list[Output]") -> str | None:
    """Write a caption to every output that lacks it; why one of them can't have it, or None."""
    from captioning.output.targets import UnwritableError

    error = None
    for output in outputs:
        if not output.has(caption.image):
            try:
                output.write(caption)
            except UnwritableError as reason:
                error = f"not written, {reason}"
    return error


def draw_attention(
    captioner: "Captioner", photo: Path, caption: str, options: argparse.Namespace
) -> None:
    """Write the picture of --attention."""
    from captioning.pictures.attention_figure import draw_attention
    from captioning.pictures.figures import save_figure

    figure = draw_attention(captioner, photo, caption, options.max_pixels)
    save_figure(figure, options.attention)
