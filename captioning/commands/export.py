"""Write a trained model as ONNX graphs, which caption without Keras, and check that they agree."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from captioning.commands.options import add_weights, command_parser, model_folder, path
from captioning.errors import CaptioningError, command_line

if TYPE_CHECKING:
    from captioning.inference.captioner import Captioner
    from captioning.inference.model_folder import ModelFolder

CLOSEST = 1e-3
"""The most that a caption's score, in nats a word, may differ."""


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    parser = command_parser(
        "export",
        program,
        __doc__,
        {
            "models/trained": "compared on the samples",
            "models/trained -i holiday/": "on photos of your own",
        },
        "The graphs go into the model's folder: decoder_photo.onnx and decoder_step.onnx, "
        "and encoder.onnx where the encoder's weights don't come by pip.",
    )
    add = parser.add_argument
    add("model", type=model_folder, metavar="MODEL", help="a model's folder")
    add_weights(add)
    add(
        "-i",
        "--image",
        type=path,
        nargs="+",
        metavar="PATH",
        help="photos, or folders of photos, that both must caption alike (default: the sample "
        "photos that come with the project)",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Write the graphs, caption photos with them and with Keras; keep them if all agree."""
    options = parse_arguments(arguments, program)
    from captioning.data.photos import photos_of
    from captioning.files.locks import only_run
    from captioning.inference.model_folder import read_model_folder
    from captioning.inference.models import samples_folder
    from captioning.vision.encoders import check_encoder

    about = read_model_folder(options.model)
    check_encoder(about.encoder["name"], options.weights)
    photos = photos_of(options.image or [samples_folder()]).photos
    with only_run(about.folder):
        names = export(about, options.weights, photos)
    print(
        f"{len(photos)} photos captioned alike by ONNX Runtime and Keras; {', '.join(names)} in "
        f"{about.folder}; next: {command_line('caption')} --model {about.folder} -i photo.jpg",
        file=sys.stderr,
    )
    return 0


def export(about: "ModelFolder", weights: str, photos: list[Path]) -> list[str]:
    """Export, check, and only then put the graphs into the model's folder; their names.

    Raises `CaptioningError` when a photo's captions differ.
    """
    from captioning.backend import import_keras

    import_keras()
    from captioning.inference.loading import load_encoder_of, load_keras, load_onnx
    from captioning.inference.onnx_export import export_decoder, export_encoder
    from captioning.inference.trained_model import load_trained_model
    from captioning.vision.encoders import LITE
    from captioning.vision.own_weights import keep_own_weights, own_weights_of

    # Beside their place, as a rename works within one disk only.
    with tempfile.TemporaryDirectory(dir=about.folder, prefix=".export-") as scratch:
        beside = Path(scratch)
        export_decoder(load_trained_model(about.folder), beside)
        own = own_weights_of(about.folder, about.encoder["name"])
        if own:
            keep_own_weights(own, beside)
        elif about.encoder["name"] not in LITE:
            export_encoder(load_encoder_of(about, weights), beside)
        check_alike(
            load_keras([about], weights), load_onnx([replace(about, folder=beside)]), photos
        )
        written = sorted(beside.iterdir())
        for file in written:
            file.replace(about.folder / file.name)
    return [file.name for file in written]


def check_alike(keras: "Captioner", onnx: "Captioner", photos: list[Path]) -> None:
    """Raise `CaptioningError` when the two caption a photo differently, or none can be read."""
    compared = 0
    # Without a critic: it is no part of the graphs, which lie in a folder that has none.
    pairs = zip(keras.caption(photos, critic=0), onnx.caption(photos, critic=0), strict=True)
    for theirs, ours in pairs:
        if theirs.error is not None:
            continue
        compared += 1
        if ours.caption != theirs.caption or not abs(ours.score - theirs.score) < CLOSEST:
            raise CaptioningError(
                f"ONNX Runtime captions {ours.image} {ours.caption!r} ({ours.score:.4f}), Keras "
                f"{theirs.caption!r} ({theirs.score:.4f}); the graphs were not kept"
            )
    if not compared:
        raise CaptioningError("none of the photos could be read; name others with -i")
