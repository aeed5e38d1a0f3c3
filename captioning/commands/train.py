"""Train a decoder; the best epoch is kept in a model's folder."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from captioning.backend import import_keras
from captioning.commands.train_distributed import train_distributed
from captioning.commands.train_options import check_arguments, parse_arguments, settings_of
from captioning.decoders.kinds import READ_GRIDS
from captioning.errors import command_line

if TYPE_CHECKING:
    from captioning.training.checkpoint import Progress

AFTER_STOP = "the same command with --resume continues"


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Train, save the best epoch, print its score on dev."""
    options = parse_arguments(arguments, program)
    check_arguments(options)
    if options.critic:
        from captioning.commands.train_critic import train_critic_of

        return train_critic_of(options)
    if options.finetune == "encoder":
        from captioning.commands.train_encoder import finetune_encoder_of

        return finetune_encoder_of(options)
    return train_distributed(options, train) if options.distributed else train(options)


def train(options: argparse.Namespace) -> int:
    """Train as the checked options say, in this process."""
    from captioning.data.prepared import read_prepared
    from captioning.files.locks import only_run
    from captioning.inference.description import read_description
    from captioning.inference.trained_model import load_trained_model
    from captioning.vision.features import read_features
    from captioning.vision.own_weights import own_weights_of

    decoder = options.decoder or "merge"
    if options.initial:
        decoder = options.decoder or read_description(options.initial)["decoder"]
    settings = settings_of(options, decoder)
    prepared = read_prepared(options.data)  # before Keras: wrong data are reported at once
    own_weights = own_weights_of(options.data, prepared.features.made_by.get("name", ""))
    if decoder in READ_GRIDS:
        prepared.features.grid_rows(prepared.splits["train"])
    teacher_features = list(map(read_features, options.teacher_data))

    import_keras()
    from captioning.training.distribution import distribute, is_first_process
    from captioning.training.records import Watch
    from captioning.training.run import train_model
    from captioning.training.starting_point import StartingPoint

    # Before the training is distributed: each process asks teachers for itself.
    teachers = list(map(load_trained_model, dict.fromkeys(options.teacher)))
    distribute()
    starting_point = StartingPoint(
        load_trained_model(options.initial) if options.initial else None,
        teachers,
        teacher_features,
        own_weights,
    )
    with only_run(options.output) if is_first_process() else nullcontext():
        progress = train_model(
            prepared,
            settings,
            options.output,
            options.resume,
            starting_point,
            Watch(options.log_dir, say_time_left),
        )
        if not is_first_process():
            return 0
        draw_film_of(options.output, options.photos)
    best = progress.history[progress.best_epoch - 1]
    if options.finetune:
        measure = f"dev CIDEr {best['dev_CIDEr']:.1f}"
    else:
        measure = f"dev loss {best['dev_loss']:.3f} per word"
    print(
        f"best {measure}, epoch {progress.best_epoch} of "
        f"{progress.epoch}; the model is in {options.output}; next: "
        f"{command_line('caption')} --model {options.output} -i photo.jpg",
        file=sys.stderr,
    )
    return 0


def say_time_left(progress: "Progress") -> None:
    """Say on standard error how long the training may still take, after an epoch but the last."""
    if progress.finished():
        return
    remaining = progress.settings["epochs"] - progress.epoch
    # The first epoch compiles the model, and so does that after a --resume: the median of the
    # last three, without the first as soon as there is another.
    latest = [row["seconds"] for row in progress.history[1:][-3:] or progress.history]
    seconds = remaining * median(latest)
    less = "less than " if progress.epoch == 1 else ""
    print(
        f"best so far: epoch {progress.best_epoch}; epochs left: {remaining:,} at the most, in "
        f"{less}{timedelta(seconds=round(seconds))} h",
        file=sys.stderr,
    )


def draw_film_of(output: Path, photos: Path) -> None:
    """Draw `film.png` of a trained model's `film.csv`, of those photos that are in the folder."""
    from captioning.pictures.figures import save_figure
    from captioning.pictures.film_strip import draw_film
    from captioning.training.film import read_film
    from captioning.vision.images import UnreadableImageError, open_image

    film = read_film(output)
    opened = {}
    for name in film[max(film)]:
        with suppress(UnreadableImageError):
            opened[name] = open_image(photos / name)
    if opened:
        save_figure(draw_film(opened, film), output / "film.png")
