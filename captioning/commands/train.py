"""Train a decoder on what features.py wrote; keeps the best epoch in a model's folder."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from captioning.backend import import_keras
from captioning.commands.options import check_at_least, model_folder
from captioning.decoders.kinds import HEADS
from captioning.errors import CaptioningError, command_line
from captioning.training.settings import FINETUNING, SETTINGS, FinetuningSettings, TrainingSettings

AFTER_STOP = "go on with the same command and --resume"


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    parser = argparse.ArgumentParser(
        prog=program,
        description=__doc__,
        epilog="Where no default is told, each decoder has its own; they are in "
        "captioning/training/settings.py.",
    )
    add = parser.add_argument
    add(
        "--data",
        type=Path,
        default="models",
        help="the folder that features.py wrote (default: models)",
    )
    add(
        "--output",
        type=Path,
        default="models/trained",
        help="the model's folder (default: models/trained)",
    )
    add(
        "--decoder",
        choices=list(SETTINGS),
        help="merge reads the photo's vector, the others look at its grid (default: merge)",
    )
    add("--initial", type=model_folder, metavar="MODEL", help="go on from this trained model")
    add(
        "--finetune",
        choices=["cider"],
        help="self-critical fine-tuning of --initial on CIDEr instead of cross-entropy",
    )
    add(
        "--teacher",
        type=model_folder,
        action="append",
        default=[],
        metavar="MODEL",
        help="learn from what this trained model says of the training captions, too; more than one "
        "(--teacher A --teacher B) teach together",
    )
    add("--epochs", type=int, help="at most this many")
    add("--batch-size", type=int, help="captions a step for merge, photos for the others")
    add("--samples", type=int, help="with --finetune: captions drawn of each photo (default: 5)")
    add("--width", type=int, help="numbers a word, a photo and a state have")
    add("--depth", type=int, help="layers of the transformer")
    add("--dropout", type=float, help="share of numbers dropped in training")
    add("--smoothing", type=float, help="share of each target spread over all words")
    add("--learning-rate", type=float, help="Adam's, at its highest")
    add("--weight-decay", type=float, help="Adam's, apart from the gradient")
    add(
        "--schedule",
        choices=["plateau", "cosine"],
        help="cut the learning rate when dev stops falling, or lower it evenly to the last epoch",
    )
    add("--warm-up", type=float, metavar="EPOCHS", help="with cosine: rise so long at first")
    add("--patience", type=int, help="stop after so many epochs without a gain on dev")
    add("--seed", type=int, help="the same seed gives the same weights")
    add("--resume", action="store_true", help="go on with an interrupted training")
    add("--overwrite", action="store_true", help="replace a trained model in --output")
    return parser.parse_args(arguments)


def settings_of(options: argparse.Namespace, decoder: str) -> TrainingSettings | FinetuningSettings:
    """The decoder's own settings, changed by what the command line names.

    Raises `CaptioningError` for an option that this training doesn't have, or a width that the
    decoder can't divide among its heads.
    """
    own = (FINETUNING if options.finetune else SETTINGS)[decoder]
    known = {field.name for field in dataclasses.fields(own)} - {"decoder"}
    every = {
        f.name for kind in (TrainingSettings, FinetuningSettings) for f in dataclasses.fields(kind)
    } - {"decoder"}
    named = {k: v for k, v in vars(options).items() if k in every and v is not None}
    for name in sorted(named.keys() - known):
        what = f"--finetune {options.finetune}" if options.finetune else "this training"
        raise CaptioningError(f"--{name.replace('_', '-')} has no meaning for {what}")
    if options.teacher:
        named["smoothing"] = 0.0  # the teachers' words soften the targets
    heads = HEADS[decoder]
    if named.get("width", heads) % heads:
        raise CaptioningError(
            f"--width {named['width']} is not a multiple of {heads}, the {decoder} decoder's heads"
        )
    return dataclasses.replace(own, **named)


def check_arguments(options: argparse.Namespace) -> None:
    """Raise `CaptioningError` for values that can't work, and for a model in the way."""
    check_at_least(options, 1, "epochs", "batch_size", "width", "depth", "patience")
    if options.samples is not None and options.samples < 2:
        raise CaptioningError("--samples must be at least 2: each is compared with the others")
    for name in ("dropout", "smoothing"):
        value = getattr(options, name)
        if value is not None and not 0 <= value < 1:
            raise CaptioningError(f"--{name} {value} is not from 0 to below 1")
    if options.learning_rate is not None and options.learning_rate <= 0:
        raise CaptioningError(f"--learning-rate {options.learning_rate} is not above 0")
    if options.finetune and not (options.initial or options.resume):
        raise CaptioningError("--finetune wants a trained model: name it with --initial")
    if options.finetune and options.teacher:
        raise CaptioningError("--teacher has no meaning for --finetune: captions teach there")
    if options.smoothing and options.teacher:
        raise CaptioningError("--smoothing has no meaning with --teacher, which softens, too")
    if options.resume or options.overwrite:
        return
    for part in ("captioner.json", "checkpoint/progress.json"):
        if (options.output / part).exists():
            what = "a trained model" if part == "captioner.json" else "an unfinished training"
            raise CaptioningError(
                f"{options.output} holds {what} already; go on with it by --resume, replace it "
                "by --overwrite, or name another folder with --output"
            )


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Train, save, tell how good it is on dev."""
    options = parse_arguments(arguments, program)
    check_arguments(options)
    from captioning.data.prepared import read_prepared
    from captioning.files.locks import only_run
    from captioning.inference.description import read_description
    from captioning.inference.trained_model import load_trained_model

    decoder = options.decoder or "merge"
    if options.initial:
        decoder = options.decoder or read_description(options.initial)["decoder"]
    settings = settings_of(options, decoder)
    prepared = read_prepared(options.data)

    import_keras()
    from captioning.training.run import train_model
    from captioning.training.starting_point import StartingPoint

    starting_point = StartingPoint(
        load_trained_model(options.initial) if options.initial else None,
        list(map(load_trained_model, dict.fromkeys(options.teacher))),
    )
    with only_run(options.output):
        progress = train_model(prepared, settings, options.output, options.resume, starting_point)
    best = progress.history[progress.best_epoch - 1]
    measure = (
        f"dev CIDEr {best['dev_CIDEr']:.1f}"
        if options.finetune
        else (f"dev loss {best['dev_loss']:.3f} a word")
    )
    print(
        f"best {measure}, epoch {progress.best_epoch} of "
        f"{progress.epoch}; the model is in {options.output}; next: "
        f"{command_line('caption')} --model {options.output} -i photo.jpg",
        file=sys.stderr,
    )
    return 0
