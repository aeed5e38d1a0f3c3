"""Train a decoder on what features.py wrote; keeps the best epoch in a model's folder."""

import argparse
import dataclasses
import sys
from pathlib import Path

from captioning.errors import CaptioningError, import_keras, run_script
from captioning.settings import (
    FINETUNING,
    HEADS,
    SETTINGS,
    FinetuningSettings,
    TrainingSettings,
)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Where no default is told, each decoder has its own; they are in "
        "captioning/settings.py.",
    )
    add = parser.add_argument
    add("--data", type=Path, default="models",
        help="the folder that features.py wrote (default: models)")
    add("--output", type=Path, default="models/trained",
        help="the model's folder (default: models/trained)")
    add("--decoder", choices=list(SETTINGS),
        help="merge reads the photo's vector, the others look at its grid (default: merge)")
    add("--initial", type=Path, metavar="MODEL", help="go on from this trained model")
    add("--finetune", choices=["cider"],
        help="self-critical fine-tuning of --initial on CIDEr instead of cross-entropy")
    add("--teacher", type=Path, action="append", default=[], metavar="MODEL",
        help="learn from what this trained model says of the training captions, too; more than one "
        "(--teacher A --teacher B) teach together")
    add("--epochs", type=int, help="at most this many")
    add("--batch-size", type=int, help="captions a step for merge, photos for the others")
    add("--samples", type=int, help="with --finetune: captions drawn of each photo (default: 5)")
    add("--width", type=int, help="numbers a word, a photo and a state have")
    add("--depth", type=int, help="layers of the transformer")
    add("--dropout", type=float, help="share of numbers dropped in training")
    add("--smoothing", type=float, help="share of each target spread over all words")
    add("--learning-rate", type=float, help="Adam's, at its highest")
    add("--weight-decay", type=float, help="Adam's, apart from the gradient")
    add("--schedule", choices=["plateau", "cosine"],
        help="cut the learning rate when dev stops falling, or lower it evenly to the last epoch")
    add("--warm-up", type=float, metavar="EPOCHS", help="with cosine: rise so long at first")
    add("--patience", type=int, help="stop after so many epochs without a gain on dev")
    add("--seed", type=int, help="the same seed gives the same weights")
    add("--resume", action="store_true", help="go on with an interrupted training")
    add("--overwrite", action="store_true", help="replace a trained model in --output")
    return parser.parse_args()


def settings_of(
    arguments: argparse.Namespace, decoder: str
) -> TrainingSettings | FinetuningSettings:
    """The decoder's own settings, changed by what the command line names.

    Raises `CaptioningError` for an option that this training doesn't have, or a width that the
    decoder can't divide among its heads.
    """
    own = (FINETUNING if arguments.finetune else SETTINGS)[decoder]
    known = {field.name for field in dataclasses.fields(own)} - {"decoder"}
    every = {f.name for kind in (TrainingSettings, FinetuningSettings)
             for f in dataclasses.fields(kind)} - {"decoder"}
    named = {k: v for k, v in vars(arguments).items() if k in every and v is not None}
    for name in sorted(named.keys() - known):
        what = f"--finetune {arguments.finetune}" if arguments.finetune else "this training"
        raise CaptioningError(f"--{name.replace('_', '-')} has no meaning for {what}")
    if arguments.teacher:
        named["smoothing"] = 0.0  # the teachers' words soften the targets
    heads = HEADS[decoder]
    if named.get("width", heads) % heads:
        raise CaptioningError(
            f"--width {named['width']} is not a multiple of {heads}, the {decoder} decoder's heads"
        )
    return dataclasses.replace(own, **named)


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise `CaptioningError` for values that can't work, and for a model in the way."""
    for name in ("epochs", "batch_size", "width", "depth", "patience"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise CaptioningError(f"--{name.replace('_', '-')} must be at least 1")
    if arguments.samples is not None and arguments.samples < 2:
        raise CaptioningError("--samples must be at least 2: each is compared with the others")
    for name in ("dropout", "smoothing"):
        value = getattr(arguments, name)
        if value is not None and not 0 <= value < 1:
            raise CaptioningError(f"--{name} {value} is not from 0 to below 1")
    if arguments.learning_rate is not None and arguments.learning_rate <= 0:
        raise CaptioningError(f"--learning-rate {arguments.learning_rate} is not above 0")
    if arguments.finetune and not (arguments.initial or arguments.resume):
        raise CaptioningError("--finetune wants a trained model: name it with --initial")
    if arguments.finetune and arguments.teacher:
        raise CaptioningError("--teacher has no meaning for --finetune: captions teach there")
    if arguments.smoothing and arguments.teacher:
        raise CaptioningError("--smoothing has no meaning with --teacher, which softens, too")
    if arguments.resume or arguments.overwrite:
        return
    for part in ("captioner.json", "checkpoint/progress.json"):
        if (arguments.output / part).exists():
            what = "a trained model" if part == "captioner.json" else "an unfinished training"
            raise CaptioningError(
                f"{arguments.output} holds {what} already; go on with it by --resume, replace it "
                "by --overwrite, or name another folder with --output"
            )


def main() -> int:
    """Train, save, tell how good it is on dev."""
    arguments = parse_arguments()
    check_arguments(arguments)
    from captioning.bundle import load_bundle, read_about
    from captioning.files import only_run
    from captioning.prepare import read_prepared

    decoder = arguments.decoder or "merge"
    if arguments.initial:
        decoder = arguments.decoder or read_about(arguments.initial)["decoder"]
    settings = settings_of(arguments, decoder)
    prepared = read_prepared(arguments.data)

    import_keras()
    from captioning.pipeline import train_model

    initial = load_bundle(arguments.initial) if arguments.initial else None
    teachers = list(map(load_bundle, arguments.teacher))
    with only_run(arguments.output):
        progress = train_model(
            prepared, settings, arguments.output, arguments.resume, initial, teachers=teachers
        )
    best = progress.history[progress.best_epoch - 1]
    measure = f"dev CIDEr {best['dev_CIDEr']:.1f}" if arguments.finetune else (
        f"dev loss {best['dev_loss']:.3f} a word"
    )
    print(
        f"best {measure}, epoch {progress.best_epoch} of "
        f"{progress.epoch}; the model is in {arguments.output}; next: "
        f"python caption_generator.py --model {arguments.output} -i photo.jpg",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    run_script(main, "go on with the same command and --resume")
