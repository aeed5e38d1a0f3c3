"""Score a model's captions of photos against their references, on words only."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from captioning.errors import CaptioningError, import_keras, run_script

if TYPE_CHECKING:
    from captioning.captioner import Captioner
    from captioning.prepare import Prepared


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
    add("--views", type=int, metavar="N", help="for models that look at grids: so many views of "
        "each photo decide together (default: the model's own)")
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
    from captioning.captioner import check_decoding, check_together

    check_decoding(arguments.beam, arguments.length_penalty, arguments.no_repeat, arguments.views)
    if (arguments.images is None) != (arguments.text is None):
        raise CaptioningError("--images and --text go together")
    if arguments.split == "all" and arguments.images is None:
        raise CaptioningError("--split all wants a folder of photos; give --images and --text")
    if arguments.report and arguments.report.is_dir():
        raise CaptioningError(f"--report {arguments.report} is a folder; name a file in it")
    about = check_together(arguments.model)
    if arguments.compare:
        for key, value in read_about(arguments.compare)["encoder"].items():
            if value != about["encoder"].get(key):
                raise CaptioningError(
                    f"{arguments.model[0]} and {arguments.compare} can't be compared on the same "
                    f"vectors: {key} is {about['encoder'].get(key)!r} there, {value!r} here"
                )
    greedy = (arguments.beam or about["decoding"]["beam"]) == 1 and not arguments.no_repeat
    if arguments.length_penalty is not None and greedy:
        raise CaptioningError("--length-penalty ranks the captions of a beam; give --beam too")


def read_photos(
    arguments: argparse.Namespace, captioners: "list[Captioner]", views: int, scratch: str
) -> "Prepared":
    """Vectors, captions and splits: what features.py wrote, or made now from the photos.

    Raises `CaptioningError` for photos that were trained on, before any is encoded.
    """
    from captioning import evaluation
    from captioning.prepare import read_prepared
    from captioning.store import stamp_of

    split, folders = arguments.split, [*arguments.model, *filter(None, [arguments.compare])]

    def check(splits: dict[str, list[str]], contents: dict[str, str]) -> None:
        names = evaluation.split_photos(splits, split)
        for folder in [] if arguments.allow_overlap else folders:
            evaluation.refuse_overlap(names, split, folder, splits.get("train", []), contents)

    if arguments.images is None:
        prepared = read_prepared(arguments.data)
        check(prepared.splits, prepared.features.contents)
    else:
        dataset = evaluation.read_folder(arguments.images, arguments.text, split)
        check(dataset.splits, {n: stamp_of(arguments.images / n)[2] for n in dataset.splits[split]})
        looking = max(captioners, key=lambda captioner: captioner.reads_grids)
        prepared = evaluation.encode_folder(looking, dataset, split, Path(scratch), views)
    for captioner in captioners:
        evaluation.check_encoder_fits(captioner, prepared)
    return prepared


def main() -> int:
    """Caption, score, print, and keep scores and captions in the model's folder."""
    arguments = parse_arguments()
    check_arguments(arguments)
    sys.stdout.reconfigure(errors="backslashreplace")  # a caption may hold what it can't
    began = time.perf_counter()
    import_keras()
    from captioning.captioner import load
    from captioning.evaluation import evaluate, write_evaluation

    captioners = [load(*arguments.model, weights=arguments.weights)]
    if arguments.compare:
        captioners.append(load(arguments.compare, weights=arguments.weights))
    decoding = {
        "beam": arguments.beam,
        "length_power": arguments.length_penalty,
        "no_repeat": arguments.no_repeat,
        "views": arguments.views,
    }
    views = max(captioner.settings(**decoding).views for captioner in captioners)
    meteor = not arguments.no_meteor
    with tempfile.TemporaryDirectory() as scratch:
        prepared = read_photos(arguments, captioners, views, scratch)
        result, *other = (
            evaluate(captioner, prepared, arguments.split, meteor, **decoding)
            for captioner in captioners
        )
        result.about["models"] = [folder.name for folder in arguments.model]
        for against in other:
            result.compare(arguments.compare.name, against)
        # Printed first: whatever becomes of the files, the scores are there.
        print(json.dumps(result.about, ensure_ascii=False) if arguments.format == "json"
              else result.text(), flush=True)
        write_evaluation(result, arguments.model[0], together=len(arguments.model) > 1)
        if arguments.report:
            from captioning.report import write_report

            photos = arguments.photos or arguments.images or Path("Flicker8k_Dataset")
            write_report(
                result, captioners[0], prepared, arguments.model, photos, arguments.report
            )
        del prepared  # its grids are mapped from the scratch folder
    print(f"{time.perf_counter() - began:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    run_script(main)
