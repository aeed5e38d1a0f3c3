"""A page in the browser, on this machine alone: drop photos, read, correct, export captions."""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from captioning.commands.options import (
    DEFAULT_MODEL,
    add_neutral,
    add_runtime,
    add_weights,
    check_range,
    model_folder,
    path,
)
from captioning.commands.run import how_to_install
from captioning.errors import CaptioningError


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    parser = argparse.ArgumentParser(
        prog=program,
        description=__doc__,
        epilog=f"Its packages: {how_to_install('app')}",
    )
    add = parser.add_argument
    add(
        "--model",
        type=model_folder,
        help=f"a model's folder {DEFAULT_MODEL}",
    )
    add_weights(add)
    add_runtime(add)
    add_neutral(add)
    add("--port", type=int, default=7860, help="of the page at 127.0.0.1 (default: %(default)s)")
    add(
        "--corrections",
        type=path,
        default=Path("corrections.jsonl"),
        metavar="FILE",
        help="where corrected captions are kept (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Load the model once, serve the page until Ctrl-C."""
    options = parse_arguments(arguments, program)
    from captioning.inference.description import read_description
    from captioning.inference.models import choose_model, models_folder, shipped_folder
    from captioning.vision.encoders import check_encoder

    check_range(options, "port", 1, 65535)
    if not options.corrections.absolute().parent.is_dir():
        raise CaptioningError(f"--corrections {options.corrections}: there is no such folder")
    if options.corrections.is_dir():
        raise CaptioningError(f"--corrections {options.corrections} is a folder; name a file in it")
    folder = options.model or choose_model(models_folder(), shipped_folder())
    check_encoder(read_description(folder)["encoder"]["name"], options.weights)
    print(f"model: {folder}", file=sys.stderr)
    # A folder that no one else can read, as photos are private.
    with tempfile.TemporaryDirectory(prefix="captioning-uploads-") as uploads:
        # Gradio reads these when it is imported. Uploads go into a folder of this run, which is
        # removed with everything in it when the run ends.
        os.environ["GRADIO_TEMP_DIR"] = uploads
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        from captioning.app.server import serve
        from captioning.app.shared_captioner import SharedCaptioner
        from captioning.inference.loading import load

        captioner = SharedCaptioner(
            load(folder, weights=options.weights, runtime=options.runtime), options.neutral
        )
        serve(captioner, folder.name, options.port, options.corrections)
    return 0
