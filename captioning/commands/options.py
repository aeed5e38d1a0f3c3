"""Options that several commands have, and checks of values: each declared in one place."""

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from captioning.errors import CaptioningError, command_line

MAX_PIXELS = 200_000_000
"""The same as `vision.images.MAX_PIXELS`, without importing Pillow: help must not wait for it."""

WIDTH = 80
"""Columns of the sentences in help."""

OWN = "(default: the model's own)"

DEFAULT_MODEL = "(default: the one trained last here, otherwise one that comes with the project)"
"""What `choose_model` does, for help."""


def command_parser(
    command: str,
    program: str | None,
    description: str | None,
    examples: dict[str, str],
    more: str = "",
) -> argparse.ArgumentParser:
    """A command's parser, whose help ends in examples.

    program: how help calls the command; examples: {arguments: what they do}; more: what is said
    after them.
    """
    typed = command_line(command)
    rows = [f"  {f'{typed} {given}'.rstrip()}\n      {said}" for given, said in examples.items()]
    return argparse.ArgumentParser(
        prog=program,
        description=textwrap.fill(" ".join((description or "").split()), WIDTH),
        epilog="\n".join(["examples:", *rows, "", textwrap.fill(more, WIDTH)]).rstrip(),
        # The lines of the examples stay as they are.
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def path(given: str) -> Path:
    """The type of files and folders: "~" is the user's home, as the shell doesn't always say so.

    It doesn't in `--output=~/captions`, which would make a folder of the name "~". Raises
    `ArgumentTypeError` for "", as of a shell's variable that isn't set: it would be the current
    folder.
    """
    if not given:
        raise argparse.ArgumentTypeError("an empty path; is a variable of the shell not set?")
    try:
        return Path(given).expanduser()
    except RuntimeError:  # of a user who isn't known here: a name like any other
        return Path(given)


def model_folder(given: str) -> Path:
    """The type of --model: a model's folder, or the name of a model that comes with the project."""
    from captioning.inference.models import find_model

    return find_model(path(given))


def add_weights(add: Callable[..., Any]) -> None:
    """--weights: where the encoder's weights are loaded from."""
    add(
        "--weights",
        default="imagenet",
        metavar="FILE",
        help="the encoder's: imagenet, which Keras downloads and caches, or a file "
        "(default: %(default)s)",
    )


def add_runtime(add: Callable[..., Any]) -> None:
    """--runtime: what computes, ONNX Runtime or Keras."""
    add(
        "--runtime",
        choices=["onnx", "keras"],
        help="what computes (default: onnx for models that were exported, as those that come with "
        "the project, otherwise keras)",
    )


def add_data(add: Callable[..., Any]) -> None:
    """--data: what the features command wrote."""
    add(
        "--data",
        type=path,
        default="models",
        metavar="FOLDER",
        help=f"the folder that `{command_line('features')}` wrote (default: %(default)s)",
    )


def add_several_data(add: Callable[..., Any]) -> None:
    """--data, of each encoder a folder."""
    add(
        "--data",
        type=path,
        action="append",
        metavar="FOLDER",
        help=f"the folder that `{command_line('features')}` wrote (default: models); for models of "
        "several encoders given for each, in any order",
    )


def add_exclude_flickr8k(add: Callable[..., Any]) -> None:
    """--exclude-flickr8k: Flickr30k holds its photos."""
    add(
        "--exclude-flickr8k",
        type=path,
        nargs="?",
        const=Path("Flickr_8k_text"),
        metavar="FOLDER",
        help="leave out Flickr8k's photos, by their ids, of which Flickr30k has all; FOLDER holds "
        "Flickr8k's text files (default: Flickr_8k_text)",
    )


def add_max_pixels(add: Callable[..., Any]) -> None:
    """--max-pixels: larger photos are skipped, as a small file can hold a huge photo."""
    add(
        "--max-pixels",
        type=int,
        default=MAX_PIXELS,
        metavar="N",
        help="skip photos with more pixels, before they are decoded (default: 200 million)",
    )


def add_decoding(add: Callable[..., Any]) -> None:
    """The options of `decoding_of`: how captions are searched for."""
    add("--beam", type=int, metavar="K", help=f"width of the beam search; 1 is greedy {OWN}")
    add(
        "--length-penalty",
        type=float,
        metavar="A",
        help=f"rank the hypotheses of a beam by log-probability / length**A {OWN}",
    )
    add(
        "--no-repeat",
        type=int,
        default=0,
        metavar="N",
        help="no n-gram of N words twice in a caption (default: repetition is allowed)",
    )
    add(
        "--views",
        type=int,
        metavar="N",
        help="for models that read grids: average the predictions for N views of each photo; 1 "
        f"is fastest {OWN}",
    )
    add_critic(add)


def add_critic(add: Callable[..., Any]) -> None:
    """--critic: how much a model's critic counts."""
    add(
        "--critic",
        type=float,
        metavar="W",
        help="of a beam's captions take the one with the largest sum of mean log-probability a "
        f"word and W times its fit to the photo, as the model's critic sees it; 0 for none {OWN}",
    )


def add_neighbours(add: Callable[..., Any]) -> None:
    """--neighbours and its weight: the data whose captions choose, and how much they count."""
    add_neighbours_data(add)
    add(
        "--neighbours-weight",
        type=float,
        metavar="W",
        help="with --neighbours: what the agreement, 0 to 1, is multiplied with beside the mean "
        "log-probability a word (default: 1.5)",
    )


def add_neighbours_data(add: Callable[..., Any]) -> None:
    """--neighbours: the data whose captions choose."""
    add(
        "--neighbours",
        type=path,
        metavar="DATA",
        help="of a beam's captions take one that agrees with those of the nearest training photos "
        f"in this folder, which `{command_line('features')}` wrote; beside the critic, if there is "
        "one",
    )


def add_neutral(add: Callable[..., Any]) -> None:
    """--neutral: captions that don't guess people's gender."""
    add(
        "--neutral",
        action="store_true",
        help="person and child for man, woman, boy and girl, and what agrees with them (English)",
    )


def decoding_of(options: argparse.Namespace) -> dict[str, Any]:
    """What `add_decoding` declares, as keywords of `CaptionDecoder.settings`."""
    return {
        "beam": options.beam,
        "length_power": options.length_penalty,
        "no_repeat": options.no_repeat,
        "views": options.views,
        "critic": options.critic,
        "neighbours": options.neighbours_weight,
    }


def check_decoding(options: argparse.Namespace, own_beam: int | None = None) -> None:
    """Raise `CaptioningError` for values of `add_decoding` that can't be decoded with.

    own_beam: the width that the model's description asks for, once it is read: only a beam has
    hypotheses to rank.
    """
    from captioning.inference.settings import HEAVIEST, STEEPEST, WIDEST_BEAM

    check_range(options, "beam", 1, WIDEST_BEAM)
    check_range(options, "length_penalty", -STEEPEST, STEEPEST)
    check_range(options, "critic", 0, HEAVIEST)
    check_range(options, "neighbours_weight", 0, HEAVIEST)
    check_at_least(options, 0, "no_repeat")
    check_views(options)
    # Greedy search keeps one hypothesis, so a length penalty would change nothing, silently.
    # With --no-repeat even a beam of 1 is a beam search.
    greedy = own_beam is not None and (options.beam or own_beam) == 1 and not options.no_repeat
    if options.length_penalty is not None and greedy:
        raise CaptioningError("--length-penalty ranks the hypotheses of a beam; give --beam too")
    if options.critic and greedy:
        raise CaptioningError("--critic chooses among the hypotheses of a beam; give --beam too")
    if options.neighbours_weight is not None and options.neighbours is None:
        raise CaptioningError("--neighbours-weight wants --neighbours, the folder of training data")
    if options.neighbours and greedy:
        raise CaptioningError(
            "--neighbours chooses among the hypotheses of a beam; give --beam too"
        )


def check_views(options: argparse.Namespace) -> None:
    """Raise `CaptioningError` for more --views than there are, or none."""
    from captioning.vision.views import VIEWS

    check_range(options, "views", 1, len(VIEWS))


def check_range(options: argparse.Namespace, name: str, least: float, most: float) -> None:
    """Raise `CaptioningError` if an option was given a value outside of `least` to `most`."""
    value = getattr(options, name)
    if value is not None and not least <= value <= most:  # also for NaN
        raise CaptioningError(f"{flag(name)} {value} is not from {least:,} to {most:,}")


def check_at_least(options: argparse.Namespace, least: int, *names: str) -> None:
    """Raise `CaptioningError` if one of these options was given a value below `least`."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < least:
            raise CaptioningError(f"{flag(name)} {value} is not at least {least}")


def refuse(*rules: tuple[Any, str]) -> None:
    """Raise `CaptioningError` with the message of the first rule whose condition is true.

    rules: (condition, message). Options that contradict each other read as a list this way.
    """
    for condition, message in rules:
        if condition:
            raise CaptioningError(message)


def flag(name: str) -> str:
    """An option as it is typed: --max-pixels for max_pixels."""
    return f"--{name.replace('_', '-')}"
