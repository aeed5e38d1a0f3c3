"""Caption photos: python caption_generator.py -i image.jpg"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captioning.backend import import_keras
from captioning.commands.options import (
    add_decoding,
    add_max_pixels,
    add_weights,
    check_at_least,
    check_decoding,
    decoding_of,
    model_folder,
)
from captioning.errors import CaptioningError, shown

if TYPE_CHECKING:
    from captioning.inference.captioner import Captioner

FORMATS = ("text", "csv", "jsonl", "html", "sidecar")
ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".html": "html", ".htm": "html"}

AFTER_STOP = (
    "with -o, the captions so far are kept: the same command with --resume goes on after them"
)


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    parser = argparse.ArgumentParser(
        prog=program,
        description=__doc__,
        epilog="Captions go to standard output, messages to standard error. Exit code: 0 all "
        "photos captioned, 1 some of several could not be, 2 a wrong argument or photo.",
    )
    add = parser.add_argument
    add(
        "-i",
        "--image",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="photos, or folders of photos",
    )
    add("--recursive", action="store_true", help="look into the folders' folders too")
    add(
        "--model",
        type=model_folder,
        action="append",
        help="a model's folder (default: the one trained last here, otherwise the one that came "
        "with the project); given several times, the models decide together",
    )
    add_weights(add)
    add_max_pixels(add)
    add_wording(parser.add_argument_group("what the captions say").add_argument)
    add_results(parser.add_argument_group("where the captions go").add_argument)
    return parser.parse_args(arguments)


def add_wording(add: Any) -> None:
    """The options that tell how to decode."""
    add_decoding(add)
    add("--ban", default="", metavar="WORD,WORD", help="never say these words")
    add(
        "--max-words",
        type=int,
        metavar="N",
        help="the most words of a caption (greedy models "
        "decode with --beam 5 then, as a beam prefers captions that end in time)",
    )
    add("--top", type=int, default=1, metavar="N", help="with --format jsonl: the N best captions")


def add_results(add: Any) -> None:
    """The options that tell what to write, and where."""
    add(
        "--format",
        choices=FORMATS,
        help="of the results (default: as the ending of -o, or text); "
        "html: a page of photos with alt texts; sidecar: photo.jpg.txt beside each photo, or in "
        "the folder -o",
    )
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write here instead of standard output, each caption as it comes",
    )
    add(
        "--resume",
        action="store_true",
        help="go on where an earlier run with the same outputs "
        "was stopped; photos that could not be read are tried again",
    )
    add("--overwrite", action="store_true", help="begin outputs anew that are there already")
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
        help="of a single photo: draw where the model looks at each word",
    )


def check_arguments(options: argparse.Namespace) -> None:
    """Raise `CaptioningError` for values that can't work, before anything heavy is imported."""
    from captioning.inference.settings import WIDEST_BEAM

    check_decoding(options)
    check_at_least(options, 1, "top", "max_words", "max_pixels")
    if options.unsure is not None and not 0 < options.unsure < 1:
        raise CaptioningError(f"--unsure {options.unsure} is not between 0 and 1")
    if options.format is None:
        ending = options.output.suffix.lower() if options.output else ""
        options.format = ENDINGS.get(ending, "text")
    if options.top > WIDEST_BEAM:
        raise CaptioningError(f"--top {options.top} is not from 1 to {WIDEST_BEAM:,}")
    if options.top > 1 and options.format != "jsonl":
        raise CaptioningError("--top wants --format jsonl: the other formats have one caption")
    if options.beam is not None and options.top > options.beam:
        raise CaptioningError(f"--top {options.top} wants a --beam at least as wide")
    if options.resume and options.overwrite:
        raise CaptioningError("--resume goes on, --overwrite begins anew: give one of them")
    kept = options.output or options.embed or options.format == "sidecar"
    if options.resume and not kept:
        raise CaptioningError("--resume wants -o, which an earlier run wrote to")
    if options.unsure is not None and options.format == "sidecar":
        raise CaptioningError("--unsure: a sidecar holds the caption alone; use another --format")
    if options.unsure is not None and options.format == "text" and options.resume:
        raise CaptioningError(
            "--unsure can't go on with text, which keeps no scores; use --format csv or jsonl"
        )


def check_model(options: argparse.Namespace) -> None:
    """Choose the model if none was named, and check what its description tells."""
    from captioning.inference.description import read_ensemble_description
    from captioning.inference.models import choose_model, models_folder, shipped_folder
    from captioning.vision.encoders import check_encoder

    if options.model is None:
        options.model = [choose_model(models_folder(), shipped_folder())]
        print(f"model: {options.model[0]}", file=sys.stderr)
    about = read_ensemble_description(options.model)
    check_encoder(about["encoder"]["name"], options.weights)
    own_beam = about["decoding"].get("beam", 1)
    if options.top > (options.beam or own_beam):
        options.beam = max(5, options.top)
    if options.max_words and options.beam is None and own_beam == 1:
        options.beam = 5  # a beam prefers captions that end in time; greedy search cuts them off
    check_decoding(options, own_beam)
    if options.attention:
        if len(options.model) > 1:
            raise CaptioningError("--attention shows where one model looks; give one --model")
        if about.get("decoder") == "merge":
            raise CaptioningError(
                f"the merge decoder of {options.model[0]} reads a photo as a whole and looks "
                "nowhere; --attention wants a model with an attention or transformer decoder"
            )


def check_attention(options: argparse.Namespace, several: bool) -> None:
    """Raise `CaptioningError` when there can't be a picture."""
    picture = options.attention
    if several:
        raise CaptioningError("--attention draws a single photo; give one to -i")
    if picture.suffix.lower() != ".png":
        raise CaptioningError(f"--attention {picture} does not end in .png")
    if picture.exists() and not options.overwrite:
        raise CaptioningError(f"{picture} is there already; --overwrite draws it anew")


def open_outputs(
    options: argparse.Namespace, photos: list[Path], several: bool, stack: ExitStack
) -> list[Any]:
    """The outputs, locked until `stack` closes. Raises `CaptioningError` as they do."""
    from captioning.output import formats, targets
    from captioning.output.embedding import Copies, check_describing
    from captioning.output.rows_file import RowsFile
    from captioning.output.sidecars import Sidecars
    from captioning.output.stream import Stream

    where = options.output
    folders = {}
    if options.format == "sidecar":
        folders[Sidecars] = (where, ".txt")
    if options.embed:
        check_describing()
        targets.refuse_inside(options.embed, options.image if options.recursive else [])
        folders[Copies] = (options.embed, "")
    made = []
    for kind, (folder, ending) in folders.items():
        made_of = targets.targets_of(photos, options.image, folder, ending)
        if folder is not None:
            stack.enter_context(targets.only_writer(folder))
        if not (options.resume or options.overwrite):
            targets.refuse_existing(made_of)
        made.append(kind(made_of, options.resume))
    if options.format == "sidecar":
        return made
    table = {
        "text": lambda: formats.Text(named=several or where is not None),
        "csv": lambda: formats.Table(marks=options.unsure is not None),
        "jsonl": lambda: formats.JsonLines(options.top),
        "html": lambda: formats.Page((where.parent if where else Path()).resolve()),
    }[options.format]()
    if where is None:
        return [*made, Stream(table, options.unsure)]
    stack.enter_context(targets.only_writer(where))
    return [*made, RowsFile(where, table, options.resume, options.overwrite, options.unsure)]


def caption_all(
    captioner: "Captioner", photos: list[Path], outputs: list[Any], options: argparse.Namespace
) -> int:
    """Caption the photos into the outputs, with a bar on a terminal; how many could not be."""
    from tqdm import tqdm

    from captioning.output.targets import NoCopyError

    captions = captioner.caption(
        photos,
        options.top,
        options.max_pixels,
        max_words=options.max_words,
        ban=options.ban.split(","),
        **decoding_of(options),
    )
    failed = 0
    # disable=None: a bar on a terminal alone. A single photo is done before one would tell.
    for caption in tqdm(
        captions, total=len(photos), unit=" photos", disable=len(photos) == 1 or None
    ):
        error = caption.error
        for output in outputs:
            if not caption.error and not output.has(caption.image):
                try:
                    output.write(caption)
                except NoCopyError as reason:
                    error = f"no copy, {reason}"
        if error:
            failed += 1
            tqdm.write(shown(f"passed over {caption.image}: {error}"), file=sys.stderr)
        elif options.attention:
            draw(captioner, caption.image, caption.caption, options)
    return failed


def draw(captioner: "Captioner", photo: Path, caption: str, options: argparse.Namespace) -> None:
    """Write the picture of --attention."""
    from captioning.pictures.attention_figure import draw_caption
    from captioning.pictures.figures import save_figure

    figure = draw_caption(captioner, photo, caption, options.max_pixels)
    save_figure(figure, options.attention)


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Caption the photos one after the other; 1 when some could not be read."""
    options = parse_arguments(arguments, program)
    check_arguments(options)
    sys.stdout.reconfigure(errors="backslashreplace")  # a file name may hold what it can't
    from captioning.data.photos import photos_of

    check_model(options)
    photos = list(dict.fromkeys(photos_of(options.image, options.recursive)))
    several = len(photos) > 1 or any(path.is_dir() for path in options.image)
    if not several and not photos[0].exists():
        raise CaptioningError(f"there is no file {photos[0]}")
    if options.attention:
        check_attention(options, several)
    with ExitStack() as stack:
        outputs = open_outputs(options, photos, several, stack)
        left = [p for p in photos if not all(output.has(p) for output in outputs)]
        if options.resume:
            print(
                f"{len(photos) - len(left):,} of {len(photos):,} photos are done already",
                file=sys.stderr,
            )
        failed = 0
        if left:
            import_keras()
            from captioning.inference.loading import load

            captioner = load(*options.model, weights=options.weights)
            failed = caption_all(captioner, left, outputs, options)
        for output in outputs:
            output.finish()
    if failed and not several:
        return 2
    return 1 if failed else 0
