"""A desk in the browser: photos of a folder, or dropped ones; read, approve, correct, export."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from captioning.commands.options import (
    DEFAULT_MODEL,
    add_neighbours_data,
    add_neutral,
    add_runtime,
    add_weights,
    check_range,
    command_parser,
    model_folder,
    path,
    refuse,
)
from captioning.commands.run import how_to_install, version
from captioning.errors import CaptioningError
from captioning.files.folders import check_folder

TOKEN = "IMAGE_CAPTIONS_TOKEN"
"""The environment's variable with the token: an argument could be read in the list of processes."""

SHORTEST_TOKEN = 16

LOCAL = ("127.0.0.1", "localhost", "::1")

PROJECT = "captions.sqlite"
"""The project file in the folder of the photos."""

EXAMPLES = {
    "holiday/": "photos where they are; then open http://127.0.0.1:7860",
    "holiday/ --recursive --neutral": "those below it, too; people without a guess at their gender",
    "": "photos that are dropped on the page",
}


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    more = f"Its packages: {how_to_install('app')}"
    parser = command_parser("app", program, __doc__, EXAMPLES, more)
    add = parser.add_argument
    add(
        "photos",
        type=path,
        nargs="?",
        metavar="FOLDER",
        help="photos to caption where they are (default: those that are dropped on the page)",
    )
    add("--recursive", action="store_true", help="also the photos in subfolders")
    add(
        "--project",
        type=path,
        metavar="FILE",
        help=f"where the work is kept (default: {PROJECT} in FOLDER; without one, in a folder of "
        "your own that the command names)",
    )
    add(
        "--model",
        type=model_folder,
        help=f"a model's folder {DEFAULT_MODEL}",
    )
    add_weights(add)
    add_runtime(add)
    add_neutral(add)
    add_neighbours_data(add)
    add("--port", type=int, default=7860, help="of the page (default: %(default)s)")
    add(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="where to serve it (default: %(default)s, this machine alone); any other wants a "
        f"token in the environment's {TOKEN}",
    )
    add(
        "--corrections",
        type=path,
        metavar="FILE",
        help="where corrected captions are kept for training (default: corrections.jsonl in "
        "FOLDER, or in the current folder; beside --project's file if that can't be written)",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Load the model once, serve the page until Ctrl-C."""
    options = parse_arguments(arguments, program)
    token = check_arguments(options)
    from captioning.inference.description import read_description
    from captioning.inference.models import choose_model, models_folder, shipped_folder
    from captioning.vision.encoders import check_encoder

    folder = options.model or choose_model(models_folder(), shipped_folder())
    check_encoder(read_description(folder)["encoder"]["name"], options.weights)
    import starlette  # noqa: F401  (a missing package is told before the model is loaded)

    from captioning.app.desk import Desk, DeskSettings
    from captioning.app.learning import Learning, LearningSettings
    from captioning.app.photos import PhotoFolders
    from captioning.app.server import Address, serve
    from captioning.app.shared_captioner import SharedCaptioner
    from captioning.data.photos import has_subfolders
    from captioning.inference.loading import load

    project = project_file(options)
    print(f"model: {folder}\nproject: {project}", file=sys.stderr)
    if options.photos and not options.recursive and has_subfolders(options.photos):
        note = "the photos in subfolders are left out; --recursive takes them, too"
        print(f"note: {note}", file=sys.stderr)
    dropped = project.with_name(f".{project.stem}-dropped")
    settings = DeskSettings(
        project, PhotoFolders(options.photos, options.recursive, dropped), options.corrections
    )
    captioner = SharedCaptioner(
        load(
            folder,
            weights=options.weights,
            runtime=options.runtime,
            neighbours=options.neighbours,
        ),
        options.neutral,
    )
    desk = Desk(settings, captioner)
    learning = Learning(desk, LearningSettings(folder, models_folder(), how_to_install("train")))
    serve(desk, learning, version(), Address(options.host, options.port, token))
    return 0


def check_arguments(options: argparse.Namespace) -> str | None:
    """The token, if there is one. Raises `CaptioningError` for values that don't fit."""
    check_range(options, "port", 1, 65535)
    if options.photos is not None:
        check_folder(options.photos, "the folder of photos")
    if options.corrections is None:
        place = options.photos or Path()
        if options.project and not os.access(place, os.W_OK):  # photos on a read-only drive
            place = options.project.parent
        options.corrections = place / "corrections.jsonl"
    token = os.environ.get(TOKEN) or None
    refuse(
        (
            not options.corrections.absolute().parent.is_dir(),
            f"--corrections {options.corrections}: there is no such folder",
        ),
        (
            options.corrections.is_dir(),
            f"--corrections {options.corrections} is a folder; name a file in it",
        ),
        (
            options.project and not options.project.absolute().parent.is_dir(),
            f"--project {options.project}: there is no such folder",
        ),
        (
            options.recursive and options.photos is None,
            "--recursive wants a folder of photos: name it before the options",
        ),
        (
            token is not None and len(token) < SHORTEST_TOKEN,
            f"the token in {TOKEN} has less than {SHORTEST_TOKEN} letters; {how_to_make_token()}",
        ),
        (
            token is None and options.host not in LOCAL,
            f"--host {options.host} lets other machines in, so it wants a token; "
            f"{how_to_make_token()}",
        ),
    )
    return token


def how_to_make_token() -> str:
    """The command that makes one."""
    return f"make one: export {TOKEN}=$(python -c 'import secrets; print(secrets.token_urlsafe())')"


def project_file(options: argparse.Namespace) -> Path:
    """Where the work is kept. Raises `CaptioningError` if the user's own folder can't be made."""
    if options.project is not None:
        return options.project
    if options.photos is not None:
        return options.photos / PROJECT
    from platformdirs import user_data_path

    folder = user_data_path("image-caption-generator", appauthor=False) / "desk"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise CaptioningError(
            f"cannot make {folder} ({error.strerror}); name a file with --project"
        ) from None
    return folder / PROJECT
