"""Score a model's captions of photos against their references, on words only."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from captioning.errors import CaptioningError, import_keras, run_script


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--model", type=Path, required=True, action="append",
        help="a model's folder; given several times, the models decide together")
    add("--data", type=Path, default="models",
        help="the folder that features.py wrote (default: models)")
    add("--images", type=Path, help="straight from a folder of photos, with --text")
    add("--text", type=Path, help="the folder of their captions and splits")
    add("--weights", default="imagenet",
        help="with --images, the encoder's: imagenet (fetched by Keras; default) or a file")
    add("--split", default="dev", help="train, dev, test, or with --images all (default: dev)")
    add("--beam", type=int, metavar="K", help="width of the beam; 1 is greedy (default: the "
        "model's own)")
    add("--length-penalty", type=float, metavar="A",
        help="rank by log-probability / length**A (default: the model's own)")
    add("--no-repeat", type=int, default=0, metavar="N", help="never say N words twice")
    add("--compare", type=Path, metavar="MODEL", help="another model, for the paired difference")
    add("--allow-overlap", action="store_true", help="score photos that were trained on, too")
    add("--no-meteor", action="store_true", help="leave METEOR out (it wants Java)")
    add("--report", type=Path, metavar="FILE", help="write a page about it all, one HTML file")
    add("--photos", type=Path, metavar="FOLDER", help="the photos that the report shows "
        "(default: --images, otherwise Flicker8k_Dataset)")
    add("--format", choices=["text", "json"], default="text", help="how to print the scores")
    return parser.parse_args()


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise `CaptioningError` for values that can't work, before anything heavy is imported."""
    from captioning.bundle import read_about

    if arguments.beam is not None and arguments.beam < 1:
        raise CaptioningError(f"--beam {arguments.beam} is not at least 1")
    if (arguments.images is None) != (arguments.text is None):
        raise CaptioningError("--images and --text go together")
    if arguments.report and arguments.report.is_dir():
        raise CaptioningError(f"--report {arguments.report} is a folder; name a file in it")
    for folder in (*arguments.model, *filter(None, [arguments.compare])):
        read_about(folder)


def read_photos(arguments: argparse.Namespace, captioner: Any, scratch: str) -> Any:
    """Vectors, captions and splits: what features.py wrote, or made now from the photos."""
    if arguments.images is None:
        from captioning.prepare import read_prepared

        return read_prepared(arguments.data)
    from captioning.evaluation import encode_folder

    return encode_folder(
        captioner, arguments.images, arguments.text, arguments.split, Path(scratch)
    )


def main() -> int:
    """Caption, score, print, and keep scores and captions in the model's folder."""
    arguments = parse_arguments()
    check_arguments(arguments)
    began = time.perf_counter()
    import_keras()
    from captioning.captioner import load
    from captioning.evaluation import evaluate, refuse_overlap, split_photos, write_evaluation

    captioner = load(*arguments.model, weights=arguments.weights)
    with tempfile.TemporaryDirectory() as scratch:
        prepared = read_photos(arguments, captioner, scratch)
        names = split_photos(prepared.splits, arguments.split)
        if not arguments.allow_overlap:
            for folder in arguments.model:
                refuse_overlap(names, arguments.split, folder, prepared.splits.get("train", []))
        decoding = {
            "beam": arguments.beam,
            "length_power": arguments.length_penalty,
            "no_repeat": arguments.no_repeat,
        }
        meteor = not arguments.no_meteor
        result = evaluate(captioner, prepared, arguments.split, meteor, **decoding)
        result.about["models"] = [folder.name for folder in arguments.model]
        if arguments.compare:
            other = load(arguments.compare, weights=arguments.weights)
            against = evaluate(other, prepared, arguments.split, meteor, **decoding)
            result.compare(arguments.compare.name, against)
        if arguments.report:
            from captioning.report import write_report

            photos = arguments.photos or arguments.images or Path("Flicker8k_Dataset")
            write_report(result, captioner, prepared, arguments.model, photos, arguments.report)
        del prepared  # its grids are mapped from the scratch folder
    write_evaluation(result, arguments.model[0], together=len(arguments.model) > 1)
    print(json.dumps(result.about, ensure_ascii=False) if arguments.format == "json"
          else result.text())
    print(f"{time.perf_counter() - began:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    run_script(main)
