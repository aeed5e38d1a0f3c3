"""Options that several commands share: declared and checked in one place."""

import argparse
from pathlib import Path
from typing import Any

from captioning.errors import CaptioningError

MAX_PIXELS = 200_000_000
"""As `vision.images.MAX_PIXELS`, without Pillow: help must not wait for it."""


def add_weights(add: Any) -> None:
    """--weights: what the encoder's network is loaded from."""
    add(
        "--weights",
        default="imagenet",
        help="the encoder's: imagenet (default; fetched and cached by Keras) or a file",
    )


def add_max_pixels(add: Any) -> None:
    """--max-pixels: larger photos are skipped before they are decoded."""
    add(
        "--max-pixels",
        type=int,
        default=MAX_PIXELS,
        metavar="N",
        help="skip photos with more pixels, before they are decoded (default: 200 million)",
    )


def add_decoding(add: Any) -> None:
    """The options of `decoding_of`: how captions are searched for."""
    own = "(default: the model's own)"
    add(
        "--beam",
        type=int,
        metavar="K",
        help=f"width of the beam search; 1 is greedy {own}",
    )
    add(
        "--length-penalty",
        type=float,
        metavar="A",
        help=f"rank the captions of a beam by log-probability / length**A {own}",
    )
    add("--no-repeat", type=int, default=0, metavar="N", help="never say N words twice")
    add(
        "--views",
        type=int,
        metavar="N",
        help="for models that read grids: so many views of each photo decide together; 1 is "
        f"fastest {own}",
    )


def decoding_of(options: argparse.Namespace) -> dict[str, Any]:
    """What `add_decoding` declares, as keywords of `CaptionDecoder.settings`."""
    return {
        "beam": options.beam,
        "length_power": options.length_penalty,
        "no_repeat": options.no_repeat,
        "views": options.views,
    }


def check_decoding(options: argparse.Namespace, own_beam: int | None = None) -> None:
    """Raise `CaptioningError` for values that can't be decoded with.

    own_beam: the model's, once it is known: only a beam has captions to rank.
    """
    from captioning.inference.settings import STEEPEST, WIDEST_BEAM
    from captioning.vision.views import VIEWS

    beam, power = options.beam, options.length_penalty
    if beam is not None and not 1 <= beam <= WIDEST_BEAM:
        raise CaptioningError(f"--beam {beam} is not from 1 to {WIDEST_BEAM:,}")
    if power is not None and not -STEEPEST <= power <= STEEPEST:  # or a NaN
        raise CaptioningError(
            f"--length-penalty {power} is not a finite number from -{STEEPEST} to {STEEPEST}"
        )
    if options.no_repeat < 0:
        raise CaptioningError(f"--no-repeat {options.no_repeat} is not at least 0")
    if options.views is not None and not 1 <= options.views <= len(VIEWS):
        raise CaptioningError(f"--views {options.views} is not from 1 to {len(VIEWS)}")
    greedy = own_beam is not None and (beam or own_beam) == 1 and not options.no_repeat
    if power is not None and greedy:
        raise CaptioningError("--length-penalty ranks the captions of a beam; give --beam too")


def check_at_least(options: argparse.Namespace, least: int, *names: str) -> None:
    """Raise `CaptioningError` for an option of these names whose value is below `least`."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < least:
            option = f"--{name.replace('_', '-')}"
            raise CaptioningError(f"{option} {value} is not at least {least}")


def model_folder(given: str) -> Path:
    """The type of --model: a model's folder, or the name of one that comes with the project."""
    from captioning.inference.models import find_model

    return find_model(Path(given))
