"""The training command's arguments: what they are called, and which values fit each other."""

import argparse
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from captioning.commands.options import (
    add_data,
    check_at_least,
    command_parser,
    flag,
    model_folder,
    path,
    refuse,
)
from captioning.commands.train_distributed import OPTIONS, add_distribution
from captioning.decoders.kinds import HEADS
from captioning.errors import CaptioningError, command_line
from captioning.training.settings import (
    FINETUNING,
    SETTINGS,
    FinetuningSettings,
    TrainingSettings,
    with_encoder,
)

EXAMPLES = {
    "": "a merge model, on what features wrote",
    "--resume": "go on after a stop",
    "--decoder transformer": "a better one; features wants --grids",
    "--finetune cider --initial models/trained --output models/finetuned": "on CIDEr",
}


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    about = "Train a decoder; the best epoch is kept in a model's folder."
    parser = command_parser("train", program, about, EXAMPLES)
    add_start(parser.add_argument)
    add_aim(parser.add_argument)
    add_model(parser.add_argument)
    add_optimisation(parser.add_argument)
    add_distribution(parser.add_argument)
    return parser.parse_args(arguments)


def add_start(add: Callable[..., Any]) -> None:
    """The options on what a training starts from, and where it writes."""
    add_data(add)
    add(
        "--output",
        type=path,
        default="models/trained",
        metavar="FOLDER",
        help="the model's folder (default: %(default)s)",
    )
    add("--initial", type=model_folder, metavar="MODEL", help="start from this trained model")
    add(
        "--photos",
        type=path,
        default="Flicker8k_Dataset",
        metavar="FOLDER",
        help="the photos, of which film.png shows four with their captions after each epoch; where "
        "they aren't, film.csv alone is written (default: %(default)s)",
    )
    add(
        "--log-dir",
        type=path,
        metavar="FOLDER",
        help="write each epoch's losses and scores there for TensorBoard (pip install tensorboard; "
        "tensorboard --logdir FOLDER)",
    )
    add("--resume", action="store_true", help="continue an interrupted training")
    add("--overwrite", action="store_true", help="replace a trained model in --output")


def add_aim(add: Callable[..., Any]) -> None:
    """The options on what is aimed at beside the captions: rewards, teachers; or a critic."""
    add(
        "--finetune",
        choices=["cider", "encoder"],
        help="self-critical fine-tuning of --initial on CIDEr instead of cross-entropy; or its "
        "encoder, an EfficientNet-Lite, trained along with it on the --photos themselves (wants a "
        "GPU, or a night)",
    )
    add(
        "--samples",
        type=int,
        metavar="N",
        help="with --finetune cider: captions sampled per photo "
        f"(default: {FINETUNING['merge'].samples})",
    )
    add(
        "--critic-reward",
        type=float,
        metavar="W",
        help="with --finetune cider: beside a caption's CIDEr (0 to 10), W times how well it fits "
        f"the photo as --initial's critic sees it (default: {FINETUNING['merge'].critic_reward})",
    )
    add(
        "--teacher",
        type=model_folder,
        action="append",
        default=[],
        metavar="MODEL",
        help="distillation: this trained model's predictions are soft targets beside the training "
        "captions; given several times, the models are an ensemble",
    )
    add(
        "--teacher-data",
        type=path,
        action="append",
        default=[],
        metavar="FOLDER",
        help=f"what `{command_line('features')} --like TEACHER` wrote, for a teacher with another "
        "encoder than --data's",
    )
    add(
        "--critic",
        type=model_folder,
        metavar="MODEL",
        help="instead of a decoder: a critic for this trained model, which chooses among a beam's "
        "captions; it is written into the model's folder, with the weight that dev chooses",
    )


def add_model(add: Callable[..., Any]) -> None:
    """The options on the decoder and its size."""
    add(
        "--decoder",
        choices=list(SETTINGS),
        help="merge reads the photo's vector, the others attend to its grid (default: merge)",
    )
    add(
        "--width",
        type=int,
        metavar="N",
        help=f"size of embeddings and hidden states {own('width')}",
    )
    add("--depth", type=int, metavar="N", help=f"layers of the transformer {own('depth')}")
    add("--dropout", type=float, metavar="SHARE", help=f"dropout rate {own('dropout')}")


def add_optimisation(add: Callable[..., Any]) -> None:
    """The options on the loss, the optimiser and when to stop."""
    add("--epochs", type=int, metavar="N", help=f"at most this many {own('epochs')}")
    add(
        "--batch-size",
        type=int,
        metavar="N",
        help="captions per batch for merge, photos with all their captions for the others "
        f"{own('batch_size')}",
    )
    add(
        "--smoothing",
        type=float,
        metavar="SHARE",
        help=f"label smoothing: share of each target over all words {own('smoothing')}",
    )
    add(
        "--learning-rate",
        type=float,
        metavar="RATE",
        help=f"Adam's, at its peak {own('learning_rate')}",
    )
    add(
        "--weight-decay",
        type=float,
        metavar="RATE",
        help=f"decoupled, as in AdamW {own('weight_decay')}",
    )
    add(
        "--schedule",
        choices=["plateau", "cosine"],
        help="of the learning rate: cut it when the dev loss stops falling, or lower it along half "
        f"a cosine until the last epoch {own('schedule')}",
    )
    add(
        "--warm-up",
        type=float,
        metavar="EPOCHS",
        help=f"with cosine: linear warm-up {own('warm_up')}",
    )
    add(
        "--patience",
        type=int,
        metavar="N",
        help=f"stop after so many epochs without improvement on dev {own('patience')}",
    )
    add("--seed", type=int, metavar="N", help=f"the same seed gives the same weights {own('seed')}")


def own(setting: str) -> str:
    """The defaults of a setting, for help: one or that of each decoder, and of fine-tuning."""

    def of(kinds: Mapping[str, TrainingSettings | FinetuningSettings]) -> str:
        values = {decoder: str(getattr(settings, setting)) for decoder, settings in kinds.items()}
        if len(set(values.values())) == 1:
            return next(iter(values.values()))
        return ", ".join(f"{decoder} {value}" for decoder, value in values.items())

    told = of(SETTINGS)
    if hasattr(FINETUNING["merge"], setting) and of(FINETUNING) != of(SETTINGS):
        told += f"; with --finetune cider: {of(FINETUNING)}"
    along = {"transformer": with_encoder(SETTINGS["transformer"])}
    if of(along) != of({"transformer": SETTINGS["transformer"]}):
        told += f"; with --finetune encoder: {of(along)}"
    return f"(default: {told})"


def check_arguments(options: argparse.Namespace) -> None:
    """Raise `CaptioningError` for values that don't fit each other, and for a model in the way."""
    check_numbers(options)
    check_combinations(options)
    if not (options.resume or options.overwrite or options.critic):
        check_nothing_in_the_way(options.output)
    if options.log_dir:
        from captioning.training.event_log import check_log_folder

        check_log_folder(options.log_dir, options.resume, options.overwrite)


def check_numbers(options: argparse.Namespace) -> None:
    """Raise `CaptioningError` for a number that no training can be done with."""
    check_at_least(options, 1, "epochs", "batch_size", "width", "depth", "patience")
    rate = options.learning_rate
    refuse(
        (
            options.samples is not None and options.samples < 2,
            "--samples must be at least 2: each is compared with the others",
        ),
        *(
            (
                value is not None and not 0 <= value < 1,
                f"--{name} {value} is not from 0 to below 1",
            )
            for name, value in (("dropout", options.dropout), ("smoothing", options.smoothing))
        ),
        (
            rate is not None and not 0 < rate < math.inf,
            f"--learning-rate {rate} is not a number above 0",
        ),
        *(
            (
                value is not None and not 0 <= value < math.inf,
                f"{flag(name)} {value} is not a number from 0 on",
            )
            for name, value in (
                ("weight_decay", options.weight_decay),
                ("warm_up", options.warm_up),
                ("critic_reward", options.critic_reward),
            )
        ),
        (
            options.seed is not None and not 0 <= options.seed < 1 << 32,
            f"--seed {options.seed} is not from 0 to {(1 << 32) - 1:,}",
        ),
    )


def check_combinations(options: argparse.Namespace) -> None:
    """Raise `CaptioningError` for options that have no meaning together, or one without another."""
    if options.critic:
        from captioning.commands.train_critic import check_critic_arguments

        check_critic_arguments(options)
    refuse(
        *(
            (
                getattr(options, name) is not None and not options.distributed,
                f"{flag(name)} has no meaning without --distributed",
            )
            for name in OPTIONS
        ),
        (
            options.finetune and not (options.initial or options.resume),
            "--finetune wants a trained model: name it with --initial",
        ),
        (
            options.critic_reward and not options.initial,
            "--critic-reward wants the model that has the critic: name it with --initial",
        ),
        *(
            (
                options.finetune == "encoder" and getattr(options, name),
                f"{flag(name)} has no meaning for --finetune encoder",
            )
            for name in ("distributed", "log_dir", "resume")
        ),
        (
            options.finetune and options.teacher,
            "--teacher has no meaning for --finetune, which has rewards instead of targets",
        ),
        (
            options.teacher_data and not options.teacher,
            "--teacher-data holds what a --teacher reads; name the teacher too",
        ),
        (
            options.smoothing and options.teacher,
            "--smoothing has no meaning with --teacher, whose targets are soft already",
        ),
    )


def check_nothing_in_the_way(output: Path) -> None:
    """Raise `CaptioningError` for a folder that holds a model, or a training to continue."""
    # The description is written last, so without it there is only a checkpoint to lose.
    for part in ("captioner.json", "checkpoint/progress.json"):
        if (output / part).exists():
            what = "a trained model" if part == "captioner.json" else "an unfinished training"
            raise CaptioningError(
                f"{output} holds {what} already; continue it with --resume, replace it "
                "with --overwrite, or name another folder with --output"
            )


def settings_of(options: argparse.Namespace, decoder: str) -> TrainingSettings | FinetuningSettings:
    """The decoder's own settings, with what was given on the command line.

    Raises `CaptioningError` for an option that this kind of training doesn't have, or a width
    that can't be divided among the decoder's attention heads.
    """
    own: TrainingSettings | FinetuningSettings = SETTINGS[decoder]
    if options.finetune == "cider":
        own = FINETUNING[decoder]
    elif options.finetune == "encoder":
        own = with_encoder(SETTINGS[decoder])
    # The options have the names of the settings' fields, and None where nothing was given. Those
    # of the other kind of training are refused instead of ignored.
    known = {field.name for field in dataclasses.fields(own)} - {"decoder"}
    if options.finetune == "encoder":
        known -= {"width", "depth", "dropout"}  # the initial model's
    every = {
        f.name for kind in (TrainingSettings, FinetuningSettings) for f in dataclasses.fields(kind)
    } - {"decoder"}
    named = {k: v for k, v in vars(options).items() if k in every and v is not None}
    for name in sorted(named.keys() - known):
        what = f"--finetune {options.finetune}" if options.finetune else "this training"
        raise CaptioningError(f"{flag(name)} has no meaning for {what}")
    if options.teacher:
        named["smoothing"] = 0.0  # the teachers' predictions are soft targets already
    heads = HEADS[decoder]
    if named.get("width", heads) % heads:
        raise CaptioningError(
            f"--width {named['width']} is not a multiple of {heads}, the {decoder} decoder's heads"
        )
    return dataclasses.replace(own, **named)
