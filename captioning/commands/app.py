"""A page on this machine alone: drop photos, read, correct and export their captions."""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from captioning.backend import import_keras
from captioning.commands.options import add_weights, model_folder
from captioning.errors import CaptioningError


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    parser = argparse.ArgumentParser(
        prog=program,
        description=__doc__,
        epilog="Its packages: pip install -r requirements-app.txt",
    )
    add = parser.add_argument
    add("--model", type=model_folder, help="a model's folder (default: as caption_generator.py)")
    add_weights(add)
    add("--port", type=int, default=7860, help="default: 7860")
    add(
        "--corrections",
        type=Path,
        default=Path("corrections.jsonl"),
        metavar="FILE",
        help="where corrected captions are kept (default: corrections.jsonl)",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Load the model once, serve the page until Ctrl-C."""
    options = parse_arguments(arguments, program)
    from captioning.inference.description import read_description
    from captioning.inference.models import choose_model, models_folder, shipped_folder
    from captioning.vision.encoders import check_encoder

    if not 1 <= options.port <= 65535:
        raise CaptioningError(f"--port {options.port} is not in 1 to 65535")
    if not options.corrections.absolute().parent.is_dir():
        raise CaptioningError(f"--corrections {options.corrections}: there is no such folder")
    folder = options.model or choose_model(models_folder(), shipped_folder())
    check_encoder(read_description(folder)["encoder"]["name"], options.weights)
    print(f"model: {folder}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="captioning-uploads-") as uploads:
        # Gradio reads these when it is imported.
        os.environ["GRADIO_TEMP_DIR"] = uploads
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        try:
            import gradio  # noqa: F401
        except ImportError as error:
            raise CaptioningError(
                f"the package {error.name} is missing; pip install -r requirements-app.txt"
            ) from None
        import_keras()
        from captioning.app.desk import Desk
        from captioning.app.server import serve
        from captioning.inference.loading import load

        desk = Desk(load(folder, weights=options.weights))
        serve(desk, folder.name, options.port, options.corrections)
    return 0
