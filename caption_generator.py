"""Print a caption for any photo: python caption_generator.py -i image.jpg"""

import argparse
import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from captioning.errors import CaptioningError, import_keras, run_script

if TYPE_CHECKING:
    from captioning.captioner import Caption

MODELS = Path(__file__).parent / "models"


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Captions go to standard output, messages to standard error. Exit code: 0 all "
        "photos captioned, 1 some of several could not be read, 2 a wrong argument or photo.",
    )
    add = parser.add_argument
    add("-i", "--image", type=Path, nargs="+", required=True, metavar="PATH",
        help="photos, or folders of photos")
    add("--model", type=Path,
        help="a model's folder (default: the one trained last here, otherwise the one that came "
        "with the project)")
    add("--beam", type=int, metavar="K", help="width of the beam search; 1 is greedy (default: "
        "the model's own, greedy unless it says otherwise)")
    add("--top", type=int, default=1, metavar="N", help="with --format jsonl: the N best captions")
    add("--format", choices=["text", "jsonl", "csv"], default="text", help="default: text")
    add("--weights", default="imagenet",
        help="the encoder's: imagenet (default; fetched and cached by Keras) or a file")
    add("--recursive", action="store_true", help="look into the folders' folders too")
    return parser.parse_args()


def writer_of(format_name: str, several: bool, top: int) -> Callable[["Caption"], None]:
    """A function that prints one caption to standard output."""
    table = csv.writer(sys.stdout, lineterminator="\n")
    if format_name == "csv":
        table.writerow(["image", "caption", "score"])

    def write(caption: "Caption") -> None:
        if format_name == "csv":
            table.writerow([caption.image, caption.caption, f"{caption.score:.4f}"])
        elif format_name == "jsonl":
            row = {
                "image": str(caption.image),
                "caption": caption.caption,
                "score": round(caption.score, 4),
            }
            if top > 1:
                row["captions"] = [
                    {"caption": text, "score": round(score, 4)} for text, score in caption.best
                ]
            print(json.dumps(row, ensure_ascii=False))
        else:
            print(f"{caption.image}\t{caption.caption}" if several else caption.caption)
        sys.stdout.flush()

    return write


def main() -> int:
    """Caption the photos one after the other; 1 when some could not be read."""
    arguments = parse_arguments()
    if arguments.beam is not None and arguments.beam < 1:
        raise CaptioningError(f"--beam {arguments.beam} is not at least 1")
    if arguments.top < 1:
        raise CaptioningError(f"--top {arguments.top} is not at least 1")
    if arguments.top > 1 and arguments.format != "jsonl":
        raise CaptioningError("--top wants --format jsonl: the other formats have one caption")
    if arguments.top > (arguments.beam or 1):
        if arguments.beam is not None:
            raise CaptioningError(f"--top {arguments.top} wants a --beam at least as wide")
        arguments.beam = max(5, arguments.top)
    from captioning.bundle import read_about
    from captioning.captioner import choose_model, photos_of
    from captioning.encoders import check_encoder

    folder = arguments.model or choose_model(MODELS)
    check_encoder(read_about(folder)["encoder"]["name"], arguments.weights)
    photos = photos_of(arguments.image, arguments.recursive)
    several = len(photos) > 1 or any(path.is_dir() for path in arguments.image)
    if not several and not photos[0].exists():
        raise CaptioningError(f"there is no file {photos[0]}")
    if arguments.model is None:
        print(f"model: {folder}", file=sys.stderr)

    import_keras()
    from captioning.captioner import load

    write = writer_of(arguments.format, several, arguments.top)
    captioner = load(folder, weights=arguments.weights)
    failed = 0
    for caption in captioner.caption(photos, arguments.top, beam=arguments.beam):
        if caption.error:
            failed += 1
            print(f"passed over {caption.image}: {caption.error}", file=sys.stderr)
        else:
            write(caption)
    if failed and not several:
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    run_script(main)
