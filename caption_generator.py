"""Caption photos: python caption_generator.py -i image.jpg"""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captioning.errors import CaptioningError, import_keras, run_script, shown

if TYPE_CHECKING:
    from captioning.captioner import Captioner

MODELS = Path(__file__).parent / "models"
FORMATS = ("text", "csv", "jsonl", "html", "sidecar")
ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".html": "html", ".htm": "html"}


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Captions go to standard output, messages to standard error. Exit code: 0 all "
        "photos captioned, 1 some of several could not be, 2 a wrong argument or photo.",
    )
    add = parser.add_argument
    add("-i", "--image", type=Path, nargs="+", required=True, metavar="PATH",
        help="photos, or folders of photos")
    add("--recursive", action="store_true", help="look into the folders' folders too")
    add("--model", type=Path, action="append",
        help="a model's folder (default: the one trained last here, otherwise the one that came "
        "with the project); given several times, the models decide together")
    add("--weights", default="imagenet",
        help="the encoder's: imagenet (default; fetched and cached by Keras) or a file")
    add("--max-pixels", type=int, metavar="N",
        help="pass over photos with more pixels (default: 200 million)")
    add_wording(parser.add_argument_group("what the captions say").add_argument)
    add_results(parser.add_argument_group("where the captions go").add_argument)
    return parser.parse_args()


def add_wording(add: Any) -> None:
    """The arguments that tell how to decode."""
    add("--beam", type=int, metavar="K", help="width of the beam search; 1 is greedy (default: "
        "the model's own)")
    add("--length-penalty", type=float, metavar="A", help="rank the captions of a beam by "
        "log-probability / length**A (default: the model's own)")
    add("--no-repeat", type=int, default=0, metavar="N", help="never say N words twice")
    add("--views", type=int, metavar="N", help="for models that look at grids: so many views of "
        "each photo decide together (default: the model's own; 1 is fastest)")
    add("--ban", default="", metavar="WORD,WORD", help="never say these words")
    add("--max-words", type=int, metavar="N", help="the most words of a caption (greedy models "
        "decode with --beam 5 then, as a beam prefers captions that end in time)")
    add("--top", type=int, default=1, metavar="N", help="with --format jsonl: the N best captions")


def add_results(add: Any) -> None:
    """The arguments that tell what to write, and where."""
    add("--format", choices=FORMATS, help="of the results (default: as the ending of -o, or text); "
        "html: a page of photos with alt texts; sidecar: photo.jpg.txt beside each photo, or in "
        "the folder -o")
    add("-o", "--output", type=Path, metavar="FILE",
        help="write here instead of standard output, each caption as it comes")
    add("--resume", action="store_true", help="go on where an earlier run with the same outputs "
        "was stopped; photos that could not be read are tried again")
    add("--overwrite", action="store_true", help="begin outputs anew that are there already")
    add("--unsure", type=float, metavar="SHARE", help="mark the share (0.2: a fifth) of captions "
        "that the model is least sure of; known at the end, so standard output waits until then, "
        "and a file is marked when it is complete")
    add("--embed", type=Path, metavar="FOLDER", help="also copy the photos into this folder, with "
        "their captions as descriptions (XMP, IPTC, EXIF)")
    add("--attention", type=Path, metavar="FILE.png", help="of a single photo: draw where the "
        "model looks at each word")


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise `CaptioningError` for values that can't work, before anything heavy is imported."""
    from captioning.bundle import WIDEST_BEAM
    from captioning.captioner import check_decoding

    check_decoding(arguments.beam, arguments.length_penalty, arguments.no_repeat, arguments.views)
    for name, least in (("top", 1), ("max_words", 1), ("max_pixels", 1)):
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise CaptioningError(f"--{name.replace('_', '-')} {value} is not at least {least}")
    if arguments.unsure is not None and not 0 < arguments.unsure < 1:
        raise CaptioningError(f"--unsure {arguments.unsure} is not between 0 and 1")
    if arguments.format is None:
        ending = arguments.output.suffix.lower() if arguments.output else ""
        arguments.format = ENDINGS.get(ending, "text")
    if arguments.top > WIDEST_BEAM:
        raise CaptioningError(f"--top {arguments.top} is not from 1 to {WIDEST_BEAM:,}")
    if arguments.top > 1 and arguments.format != "jsonl":
        raise CaptioningError("--top wants --format jsonl: the other formats have one caption")
    if arguments.beam is not None and arguments.top > arguments.beam:
        raise CaptioningError(f"--top {arguments.top} wants a --beam at least as wide")
    if arguments.resume and arguments.overwrite:
        raise CaptioningError("--resume goes on, --overwrite begins anew: give one of them")
    kept = arguments.output or arguments.embed or arguments.format == "sidecar"
    if arguments.resume and not kept:
        raise CaptioningError("--resume wants -o, which an earlier run wrote to")
    if arguments.unsure is not None and arguments.format == "sidecar":
        raise CaptioningError("--unsure: a sidecar holds the caption alone; use another --format")
    if arguments.unsure is not None and arguments.format == "text" and arguments.resume:
        raise CaptioningError(
            "--unsure can't go on with text, which keeps no scores; use --format csv or jsonl"
        )


def check_model(arguments: argparse.Namespace) -> None:
    """Choose the model if none was named, and check what its description tells."""
    from captioning.captioner import check_together, choose_model
    from captioning.encoders import check_encoder

    if arguments.model is None:
        arguments.model = [choose_model(MODELS)]
        print(f"model: {arguments.model[0]}", file=sys.stderr)
    about = check_together(arguments.model)
    check_encoder(about["encoder"]["name"], arguments.weights)
    own_beam = about["decoding"].get("beam", 1)
    if arguments.top > (arguments.beam or own_beam):
        arguments.beam = max(5, arguments.top)
    if arguments.max_words and arguments.beam is None and own_beam == 1:
        arguments.beam = 5  # a beam prefers captions that end in time; greedy search cuts them off
    greedy = (arguments.beam or own_beam) == 1
    if arguments.length_penalty is not None and greedy:
        raise CaptioningError("--length-penalty ranks the captions of a beam; give --beam too")
    if arguments.attention:
        if len(arguments.model) > 1:
            raise CaptioningError("--attention shows where one model looks; give one --model")
        if about.get("decoder") == "merge":
            raise CaptioningError(
                f"the merge decoder of {arguments.model[0]} reads a photo as a whole and looks "
                "nowhere; --attention wants a model with an attention or transformer decoder"
            )


def check_attention(arguments: argparse.Namespace, several: bool) -> None:
    """Raise `CaptioningError` when there can't be a picture."""
    picture = arguments.attention
    if several:
        raise CaptioningError("--attention draws a single photo; give one to -i")
    if picture.suffix.lower() != ".png":
        raise CaptioningError(f"--attention {picture} does not end in .png")
    if picture.exists() and not arguments.overwrite:
        raise CaptioningError(f"{picture} is there already; --overwrite draws it anew")


def open_outputs(
    arguments: argparse.Namespace, photos: list[Path], several: bool, stack: ExitStack
) -> list[Any]:
    """The outputs, locked until `stack` closes. Raises `CaptioningError` as they do."""
    from captioning import outputs, rows

    where = arguments.output
    folders = {}
    if arguments.format == "sidecar":
        folders[outputs.Sidecars] = (where, ".txt")
    if arguments.embed:
        outputs.check_describing()
        outputs.refuse_inside(arguments.embed, arguments.image if arguments.recursive else [])
        folders[outputs.Copies] = (arguments.embed, "")
    made = []
    for kind, (folder, ending) in folders.items():
        targets = outputs.targets_of(photos, arguments.image, folder, ending)
        if folder is not None:
            stack.enter_context(outputs.only_writer(folder))
        if not (arguments.resume or arguments.overwrite):
            outputs.refuse_existing(targets)
        made.append(kind(targets, arguments.resume))
    if arguments.format == "sidecar":
        return made
    table = {
        "text": lambda: rows.Text(named=several or where is not None),
        "csv": lambda: rows.Table(marks=arguments.unsure is not None),
        "jsonl": lambda: rows.JsonLines(arguments.top),
        "html": lambda: rows.Page((where.parent if where else Path()).resolve()),
    }[arguments.format]()
    if where is None:
        return [*made, outputs.Stream(table, arguments.unsure)]
    stack.enter_context(outputs.only_writer(where))
    return [*made, outputs.RowsFile(
        where, table, arguments.resume, arguments.overwrite, arguments.unsure
    )]


def caption_all(
    captioner: "Captioner", photos: list[Path], outputs: list[Any], arguments: argparse.Namespace
) -> int:
    """Caption the photos into the outputs, with a bar on a terminal; how many could not be."""
    from tqdm import tqdm

    from captioning.images import MAX_PIXELS
    from captioning.outputs import NoCopyError

    captions = captioner.caption(
        photos, arguments.top, arguments.max_pixels or MAX_PIXELS, beam=arguments.beam,
        length_power=arguments.length_penalty, no_repeat=arguments.no_repeat,
        max_words=arguments.max_words, ban=arguments.ban.split(","), views=arguments.views,
    )
    failed = 0
    # disable=None: a bar on a terminal alone. A single photo is done before one would tell.
    for caption in tqdm(captions, total=len(photos), unit=" photos",
                        disable=len(photos) == 1 or None):
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
        elif arguments.attention:
            draw(captioner, caption.image, caption.caption, arguments)
    return failed


def draw(
    captioner: "Captioner", photo: Path, caption: str, arguments: argparse.Namespace
) -> None:
    """Write the picture of --attention."""
    from captioning.attention_pictures import draw_caption
    from captioning.images import MAX_PIXELS
    from captioning.pictures import save_figure

    figure = draw_caption(captioner, photo, caption, arguments.max_pixels or MAX_PIXELS)
    save_figure(figure, arguments.attention)


def main() -> int:
    """Caption the photos one after the other; 1 when some could not be read."""
    arguments = parse_arguments()
    check_arguments(arguments)
    sys.stdout.reconfigure(errors="backslashreplace")  # a file name may hold what it can't
    from captioning.captioner import photos_of

    check_model(arguments)
    photos = list(dict.fromkeys(photos_of(arguments.image, arguments.recursive)))
    several = len(photos) > 1 or any(path.is_dir() for path in arguments.image)
    if not several and not photos[0].exists():
        raise CaptioningError(f"there is no file {photos[0]}")
    if arguments.attention:
        check_attention(arguments, several)
    with ExitStack() as stack:
        outputs = open_outputs(arguments, photos, several, stack)
        left = [p for p in photos if not all(output.has(p) for output in outputs)]
        if arguments.resume:
            print(f"{len(photos) - len(left):,} of {len(photos):,} photos are done already",
                  file=sys.stderr)
        failed = 0
        if left:
            import_keras()
            from captioning.captioner import load

            captioner = load(*arguments.model, weights=arguments.weights)
            failed = caption_all(captioner, left, outputs, arguments)
        for output in outputs:
            output.finish()
    if failed and not several:
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    run_script(main, "with -o, the captions so far are kept: the same command with --resume goes "
               "on after them")
