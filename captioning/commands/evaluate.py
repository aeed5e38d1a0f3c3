"""Score a model's captions of photos against their references, on words only."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captioning.commands.options import (
    add_decoding,
    add_exclude_flickr8k,
    add_neighbours,
    add_neutral,
    add_runtime,
    add_several_data,
    add_weights,
    check_decoding,
    command_parser,
    decoding_of,
    model_folder,
    path,
    refuse,
)
from captioning.errors import CaptioningError

if TYPE_CHECKING:
    from captioning.data.prepared import Prepared
    from captioning.evaluation.evaluation import Evaluation
    from captioning.inference.captioner import Captioner


EXAMPLES = {
    "--model models/trained": "on the dev split of --data",
    "--model models/trained --split test --beam 5": "other photos, a wider search",
    "--model models/trained --report report.html --compare flickr8k-merge": (
        "with a page to look at, beside another model"
    ),
    "--model flickr8k --images holiday/ --text holiday/ --split all": "photos of your own, with "
    "captions.txt beside them",
    "--model A --data DA --model B --data DB": "models of two encoders, deciding together",
}


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    parser = command_parser("evaluate", program, __doc__, EXAMPLES)
    add = parser.add_argument
    add(
        "--model",
        type=model_folder,
        required=True,
        action="append",
        help="a model's folder; given several times, the models decide together, each by the "
        "vectors of its own encoder (--data for each); they need the same vocabulary",
    )
    add_several_data(add)
    add(
        "--images",
        type=path,
        metavar="FOLDER",
        help="instead of --data: a folder of photos; wants --text",
    )
    add(
        "--text",
        type=path,
        metavar="FOLDER",
        help="with --images: the folder of their captions and splits",
    )
    add_weights(add)
    add_runtime(add)
    add(
        "--split",
        default="dev",
        metavar="NAME",
        help="train, dev, test, or with --images all (default: dev)",
    )
    add_decoding(add)
    add_neighbours(add)
    add_neutral(add)
    add(
        "--compare",
        type=model_folder,
        metavar="MODEL",
        help="another model, for the paired difference of the scores",
    )
    add(
        "--allow-overlap",
        action="store_true",
        help="also score photos the model was trained on",
    )
    add_exclude_flickr8k(add)
    add_results(add)
    options = parser.parse_args(arguments)
    options.data = options.data or [Path("models")]
    return options


def add_results(add: Callable[..., Any]) -> None:
    """The options on where the scores go."""
    add(
        "--output",
        type=path,
        metavar="FOLDER",
        help="where scores and captions are kept (default: the model's folder; for models that "
        "come with the project scores/NAME beside the trained models)",
    )
    add("--no-meteor", action="store_true", help="without METEOR, which needs Java")
    add("--report", type=path, metavar="FILE", help="also write a report, one HTML file")
    add(
        "--card",
        type=path,
        metavar="FILE",
        help="also put the scores as Markdown into a model card, between its two marker lines",
    )
    add(
        "--photos",
        type=path,
        metavar="FOLDER",
        help="the photos that the report shows (default: --images, otherwise Flicker8k_Dataset)",
    )
    add(
        "--format",
        choices=["text", "json"],
        default="text",
        help="how to print the scores (default: %(default)s)",
    )


def check_arguments(options: argparse.Namespace) -> None:
    """Raise `CaptioningError` for values that don't fit each other or the models."""
    from captioning.data.splits import SPLITS
    from captioning.evaluation.model_card import check_card
    from captioning.files.folders import check_room_for_folder
    from captioning.inference.description import read_encoders, read_ensemble_description

    check_decoding(options)
    report = options.report
    for folder in (options.output, report and report.parent, options.card and options.card.parent):
        if folder:
            check_room_for_folder(folder)
    if options.card:
        check_card(options.card)  # now, not after the evaluation
    refuse(
        ((options.images is None) != (options.text is None), "--images and --text go together"),
        (
            options.images is not None and options.split not in (*SPLITS, "all"),
            f"there is no split {options.split}; choose one of {', '.join(SPLITS)}, all "
            "(dev is what others call val)",
        ),
        (
            options.split == "all" and options.images is None,
            "--split all wants a folder of photos; give --images and --text",
        ),
        (report and report.is_dir(), f"--report {report} is a folder; name a file in it"),
        (
            report and report.suffix.lower() not in (".html", ".htm", ""),
            f"--report {report} is not named .html, and a report is an HTML page",
        ),
    )
    about = read_ensemble_description(options.model)
    encoders = read_encoders(options.model)
    if options.compare:
        check_compared(options, encoders)
    check_decoding(options, about["decoding"]["beam"])  # again, now that its own beam is known


def check_compared(options: argparse.Namespace, encoders: list[dict[str, Any]]) -> None:
    """Raise `CaptioningError` for a model to compare with that reads other vectors than the models.

    encoders: the models' signatures.
    """
    from captioning.inference.description import read_description

    other = read_description(options.compare)["encoder"]
    if other in encoders:
        return
    for key, value in other.items():
        if value != encoders[0].get(key):
            raise CaptioningError(
                f"{options.model[0]} and {options.compare} can't be compared on the same "
                f"vectors: {key} is {encoders[0].get(key)!r} there, {value!r} here"
            )


def read_photos(
    options: argparse.Namespace, captioners: "list[Captioner]", views: int, scratch: str
) -> "Prepared":
    """Vectors, captions and splits: what features.py wrote, or computed now from the photos.

    views: how many of each photo are encoded; scratch: the folder for their grids. Raises
    `CaptioningError` for photos that a model was trained on, before any is encoded.
    """
    from captioning.data.flickr8k_photos import wanted_flickr8k_names
    from captioning.data.prepared import read_prepared
    from captioning.evaluation.overlap import refuse_overlap
    from captioning.evaluation.photos import encode_folder, read_folder, split_photos
    from captioning.evaluation.predictions import check_encoder_fits
    from captioning.vision.features import read_features
    from captioning.vision.stamps import stamp_of

    split, folders = options.split, [*options.model, *filter(None, [options.compare])]

    # Scores of photos that a model was trained on would say nothing about new ones.
    def check_overlap(splits: dict[str, list[str]], contents: dict[str, str]) -> None:
        names = split_photos(splits, split)
        for folder in [] if options.allow_overlap else folders:
            refuse_overlap(names, split, folder, splits.get("train", []), contents)

    leave_out = {}
    if options.exclude_flickr8k is not None:
        leave_out = wanted_flickr8k_names(options.exclude_flickr8k)
    if options.images is None:
        prepared = read_prepared(options.data[0])
        others = [read_features(data) for data in options.data[1:]]
        prepared = replace(prepared, others=others)
        drop_photos(prepared.splits, split, leave_out)
        check_overlap(prepared.splits, prepared.features.contents)
    else:
        dataset = read_folder(options.images, options.text, split)
        drop_photos(dataset.splits, split, leave_out)
        names = dataset.splits[split]
        check_overlap(
            dataset.splits, {name: str(stamp_of(options.images / name)[2]) for name in names}
        )
        prepared = encode_folder(captioners, dataset, split, Path(scratch), views)
    for captioner in captioners:
        check_encoder_fits(captioner, prepared)
    return prepared


def drop_photos(splits: dict[str, list[str]], split: str, flickr8k: dict[str, str]) -> None:
    """Take Flickr8k's photos out of a split, by their ids, and say how many; or that there are any.

    flickr8k: {id: name} of the photos to drop, {} for none. Raises `CaptioningError` when no photo
    would be left.
    """
    from captioning.data.flickr8k_photos import overlap_note, photo_id, read_flickr8k_names

    names = splits.get(split, [])
    kept = [name for name in names if photo_id(name) not in flickr8k]
    if len(kept) == len(names):
        note = overlap_note((), names, read_flickr8k_names(Path("Flickr_8k_text")))
        if note:
            print(f"note: {note}", file=sys.stderr)
        return
    if not kept:
        raise CaptioningError(f"all {len(names):,} photos of the {split} split are Flickr8k's")
    splits[split] = kept
    print(
        f"{len(names) - len(kept):,} photos of the {split} split are Flickr8k's, by their ids, and "
        f"left out; {len(kept):,} are scored",
        file=sys.stderr,
    )


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Caption, score, print, and keep scores and captions."""
    options = parse_arguments(arguments, program)
    check_arguments(options)
    began = time.perf_counter()
    import pycocoevalcap  # noqa: F401  (what is missing is said before anything is captioned)

    if options.report:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
    from captioning.evaluation.evaluation import evaluate
    from captioning.evaluation.summary_text import summary_text
    from captioning.inference.loading import load

    # The model, or the ensemble of several; then the one to compare with.
    by = {
        "weights": options.weights,
        "runtime": options.runtime,
        "neighbours": options.neighbours,
    }
    captioners = [load(*options.model, **by)]
    if options.compare:
        captioners.append(load(options.compare, **by))
    decoding = decoding_of(options)
    # Photos are encoded once for both models, so with the views of the one that wants more.
    views = max(captioner.decoder.settings(**decoding).views for captioner in captioners)
    meteor = not options.no_meteor
    with tempfile.TemporaryDirectory() as scratch:
        prepared = read_photos(options, captioners, views, scratch)
        result, *others = (
            evaluate(captioner, prepared, options.split, meteor, options.neutral, **decoding)
            for captioner in captioners
        )
        result.summary["models"] = [folder.name for folder in options.model]
        for other in others:
            result.compare(options.compare.name, other)
        # Printed first, so that no error in writing the files loses the scores.
        print(
            json.dumps(result.summary, ensure_ascii=False)
            if options.format == "json"
            else summary_text(result.summary),
            flush=True,
        )
        keep_results(options, result, captioners[0], prepared)
        del prepared  # its grids are a memory map: Windows removes no folder with mapped files
    print(f"{time.perf_counter() - began:.1f} s", file=sys.stderr)
    return 0


def keep_results(
    options: argparse.Namespace, result: "Evaluation", captioner: "Captioner", prepared: "Prepared"
) -> None:
    """Write scores and captions, the card and the report: each of them, whatever the others do.

    Raises `CaptioningError` with all that could not be written.
    """
    from captioning.evaluation.model_card import write_card
    from captioning.evaluation.overlap import is_trained_on
    from captioning.evaluation.result_files import (
        results_folder,
        results_prefix,
        write_evaluation,
    )

    data, own = options.images or options.data[0], is_trained_on(captioner, prepared)
    folder = options.output or results_folder(options.model[0])
    prefix = "" if options.output else results_prefix(data, own, len(options.model) > 1)
    failed = []
    try:
        write_evaluation(result, folder, prefix)
        print(f"{folder}: {prefix}scores.json, {prefix}predictions.jsonl", file=sys.stderr)
    except CaptioningError as error:
        failed.append(f"{error}; --output names another folder")
    try:
        if options.card:
            write_card(options.card, result.summary)
    except CaptioningError as error:
        failed.append(str(error))
    try:
        if options.report:
            from captioning.evaluation.report import write_report

            photos = options.photos or options.images or Path("Flicker8k_Dataset")
            write_report(result, captioner, prepared, options.model, photos, options.report)
    except CaptioningError as error:
        failed.append(str(error))
    if failed:
        raise CaptioningError("; ".join(failed))
