"""Score a model's captions of photos against their references, on words only."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from captioning.backend import import_keras
from captioning.commands.options import (
    add_decoding,
    add_weights,
    check_decoding,
    decoding_of,
    model_folder,
)
from captioning.errors import CaptioningError

if TYPE_CHECKING:
    from captioning.data.prepared import Prepared
    from captioning.inference.captioner import Captioner


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    add = parser.add_argument
    add(
        "--model",
        type=model_folder,
        required=True,
        action="append",
        help="a model's folder; given several times, the models decide together",
    )
    add(
        "--data",
        type=Path,
        default="models",
        help="the folder that features.py wrote (default: models)",
    )
    add("--images", type=Path, help="straight from a folder of photos, with --text")
    add("--text", type=Path, help="the folder of their captions and splits")
    add_weights(add)
    add("--split", default="dev", help="train, dev, test, or with --images all (default: dev)")
    add_decoding(add)
    add(
        "--compare",
        type=model_folder,
        metavar="MODEL",
        help="another model, for the paired difference",
    )
    add("--allow-overlap", action="store_true", help="score photos that were trained on, too")
    add("--no-meteor", action="store_true", help="leave METEOR out (it wants Java)")
    add("--report", type=Path, metavar="FILE", help="write a page about it all, one HTML file")
    add(
        "--photos",
        type=Path,
        metavar="FOLDER",
        help="the photos that the report shows (default: --images, otherwise Flicker8k_Dataset)",
    )
    add("--format", choices=["text", "json"], default="text", help="how to print the scores")
    return parser.parse_args(arguments)


def check_arguments(options: argparse.Namespace) -> None:
    """Raise `CaptioningError` for values that can't work, before anything heavy is imported."""
    from captioning.inference.description import read_description, read_ensemble_description

    check_decoding(options)
    if (options.images is None) != (options.text is None):
        raise CaptioningError("--images and --text go together")
    if options.split == "all" and options.images is None:
        raise CaptioningError("--split all wants a folder of photos; give --images and --text")
    if options.report and options.report.is_dir():
        raise CaptioningError(f"--report {options.report} is a folder; name a file in it")
    about = read_ensemble_description(options.model)
    if options.compare:
        for key, value in read_description(options.compare)["encoder"].items():
            if value != about["encoder"].get(key):
                raise CaptioningError(
                    f"{options.model[0]} and {options.compare} can't be compared on the same "
                    f"vectors: {key} is {about['encoder'].get(key)!r} there, {value!r} here"
                )
    check_decoding(options, about["decoding"]["beam"])


def read_photos(
    options: argparse.Namespace, captioners: "list[Captioner]", views: int, scratch: str
) -> "Prepared":
    """Vectors, captions and splits: what features.py wrote, or made now from the photos.

    Raises `CaptioningError` for photos that were trained on, before any is encoded.
    """
    from captioning.data.prepared import read_prepared
    from captioning.evaluation.overlap import refuse_overlap
    from captioning.evaluation.photos import encode_folder, read_folder, split_photos
    from captioning.evaluation.predictions import check_encoder_fits
    from captioning.vision.stamps import stamp_of

    split, folders = options.split, [*options.model, *filter(None, [options.compare])]

    def check(splits: dict[str, list[str]], contents: dict[str, str]) -> None:
        names = split_photos(splits, split)
        for folder in [] if options.allow_overlap else folders:
            refuse_overlap(names, split, folder, splits.get("train", []), contents)

    if options.images is None:
        prepared = read_prepared(options.data)
        check(prepared.splits, prepared.features.contents)
    else:
        dataset = read_folder(options.images, options.text, split)
        check(dataset.splits, {n: stamp_of(options.images / n)[2] for n in dataset.splits[split]})
        looking = max(captioners, key=lambda captioner: captioner.reads_grids)
        prepared = encode_folder(looking, dataset, split, Path(scratch), views)
    for captioner in captioners:
        check_encoder_fits(captioner, prepared)
    return prepared


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Caption, score, print, and keep scores and captions in the model's folder."""
    options = parse_arguments(arguments, program)
    check_arguments(options)
    sys.stdout.reconfigure(errors="backslashreplace")  # a caption may hold what it can't
    began = time.perf_counter()
    import_keras()
    from captioning.evaluation.evaluation import evaluate, write_evaluation
    from captioning.inference.loading import load

    captioners = [load(*options.model, weights=options.weights)]
    if options.compare:
        captioners.append(load(options.compare, weights=options.weights))
    decoding = decoding_of(options)
    views = max(captioner.decoder.settings(**decoding).views for captioner in captioners)
    meteor = not options.no_meteor
    with tempfile.TemporaryDirectory() as scratch:
        prepared = read_photos(options, captioners, views, scratch)
        result, *other = (
            evaluate(captioner, prepared, options.split, meteor, **decoding)
            for captioner in captioners
        )
        result.about["models"] = [folder.name for folder in options.model]
        for against in other:
            result.compare(options.compare.name, against)
        # Printed first: whatever becomes of the files, the scores are there.
        print(
            json.dumps(result.about, ensure_ascii=False)
            if options.format == "json"
            else result.text(),
            flush=True,
        )
        write_evaluation(result, options.model[0], together=len(options.model) > 1)
        if options.report:
            from captioning.evaluation.report import write_report

            photos = options.photos or options.images or Path("Flicker8k_Dataset")
            write_report(result, captioners[0], prepared, options.model, photos, options.report)
        del prepared  # its grids are mapped from the scratch folder
    print(f"{time.perf_counter() - began:.1f} s", file=sys.stderr)
    return 0
