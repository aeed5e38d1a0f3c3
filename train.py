"""Train the merge model on what features.py wrote; keeps the best epoch in a model's folder."""

import argparse
import sys
from pathlib import Path

from captioning.errors import CaptioningError, import_keras, run_script


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, default="models", help="the folder that features.py wrote")
    add("--output", type=Path, default="models/trained", help="the model's folder")
    add("--epochs", type=int, default=30, help="at most this many")
    add("--batch-size", type=int, default=128, help="captions a step")
    add("--width", type=int, default=384, help="numbers a word, a photo and the LSTM's state have")
    add("--dropout", type=float, default=0.5, help="share of numbers dropped in training")
    add("--learning-rate", type=float, default=1e-3, help="Adam's, at the start")
    add("--schedule", choices=["plateau", "cosine"], default="plateau",
        help="cut the learning rate when dev stops falling, or lower it evenly to the last epoch")
    add("--patience", type=int, default=4, help="stop after so many epochs without a gain on dev")
    add("--seed", type=int, default=1, help="the same seed gives the same weights")
    add("--resume", action="store_true", help="go on with an interrupted training")
    add("--overwrite", action="store_true", help="replace a trained model in --output")
    return parser.parse_args()


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise `CaptioningError` for values that can't work, and for a model in the way."""
    for name in ("epochs", "batch_size", "width", "patience"):
        if getattr(arguments, name) < 1:
            raise CaptioningError(f"--{name.replace('_', '-')} must be at least 1")
    if not 0 <= arguments.dropout < 1:
        raise CaptioningError(f"--dropout {arguments.dropout} is not from 0 to below 1")
    if arguments.learning_rate <= 0:
        raise CaptioningError(f"--learning-rate {arguments.learning_rate} is not above 0")
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
    """Train, save, score on dev."""
    arguments = parse_arguments()
    check_arguments(arguments)
    from captioning.prepare import read_prepared

    prepared = read_prepared(arguments.data)

    import_keras()
    from captioning.pipeline import train_model
    from captioning.training import TrainingSettings

    settings = TrainingSettings(
        width=arguments.width,
        dropout=arguments.dropout,
        batch_size=arguments.batch_size,
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
        schedule=arguments.schedule,
        patience=arguments.patience,
        seed=arguments.seed,
    )
    progress = train_model(prepared, settings, arguments.output, arguments.resume)
    print(
        f"best dev loss {-progress.best:.3f} a word, epoch {progress.best_epoch} of "
        f"{progress.epoch}; the model is in {arguments.output}; next: "
        f"python caption_generator.py --model {arguments.output} -i photo.jpg",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    run_script(main, "go on with the same command and --resume")
