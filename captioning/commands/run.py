"""How a command starts and ends: from a script, or as a sub-command of `image-captions`."""

import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from captioning.errors import CONSOLE, SCRIPTS, CaptioningError, console_name, shown

DISTRIBUTION = "image-caption-generator"

SUMMARIES = {
    "caption": "caption photos",
    "features": "photos and captions -> vectors, vocabulary, clean captions",
    "train": "train a decoder on them",
    "evaluate": "score a model's captions against references",
    "export": "a model as ONNX graphs, which caption without Keras",
    "convert": "files of another project -> a model's folder, or data to train with",
    "demo": "the whole pipeline on rendered scenes",
    "app": "a desk in the browser: read, correct and approve captions",
}


EXTRAS = {
    "keras": "train",
    "tensorflow": "train",
    "h5py": "train",
    "matplotlib": "train",
    "jinja2": "train",
    "pycocoevalcap": "train",
    "onnx": "train",
    "tf2onnx": "train",
    "jax": "jax",
    "openvino": "openvino",
    "pyarrow": "parquet",
    "ray": "distributed",
    "fsspec": "distributed",
    "starlette": "app",
    "uvicorn": "app",
    "multipart": "app",
    "python_multipart": "app",
}
"""The extra that brings a package which captioning alone doesn't need."""


def console(arguments: Sequence[str] | None = None) -> None:
    """`image-captions COMMAND ...`: the console command that `pip install` brings.

    arguments: those of the process if none are given. Leaves the process, but for --help.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    command, *others = given or ["--help"]
    if command in SCRIPTS:
        run_command(command, others, f"{console_name()} {command}")
    elif command in ("-h", "--help"):
        print(usage())
    elif command == "--version":
        print(f"{CONSOLE} {version()}")
    else:
        print(f"error: there is no command {command!r}\n\n{usage()}", file=sys.stderr)
        sys.exit(2)


def usage() -> str:
    """How to call `image-captions`, with a line for each command."""
    program = console_name()
    return "\n".join(
        [
            f"usage: {program} COMMAND ...",
            "",
            *(f"  {name:10}{summary}" for name, summary in SUMMARIES.items()),
            "",
            f"{program} COMMAND --help lists a command's options, {program} --version the version.",
        ]
    )


def version() -> str:
    """The version of the installed package, or, if none is installed, of the checkout."""
    import tomllib
    from importlib import metadata

    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        project = Path(__file__).parent.parent.parent / "pyproject.toml"
        return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]


def how_to_install(extra: str) -> str:
    """The command that installs the packages of an extra, in a checkout or for the package."""
    requirements = "requirements.txt" if extra == "train" else f"requirements-{extra}.txt"
    if (Path(__file__).parent.parent.parent / requirements).is_file():
        return f"pip install -r {requirements}"
    return f'pip install "{DISTRIBUTION}[{extra}]"'


def run_command(
    name: str, arguments: Sequence[str] | None = None, program: str | None = None
) -> None:
    """Run a command of this folder and leave the process with its exit code.

    arguments: those of the process if none are given; program: how help calls the command, if
    not by the name of the script.
    """
    module = importlib.import_module(f"captioning.commands.{name}")
    run_main(lambda: module.main(arguments, program), getattr(module, "AFTER_STOP", ""))


def open_missing_streams() -> None:
    """Open the null device in place of standard streams that are closed.

    A process without a console (`pythonw`, a service, `>&-` in a shell) has None for them. Then
    `print(..., file=sys.stderr)` writes to standard output, and the first file that is opened gets
    the number of a closed stream, so that messages of C++ code would end up in that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or stream.closed:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115


def run_main(main: Callable[[], int | None], after_stop: str = "") -> None:
    """Run `main` and leave the process with its exit code.

    after_stop: how to continue after Ctrl-C. A `CaptioningError` ends in one line on standard
    error and exit code 2, and so does what the system refuses (`OSError`: standard output on a
    full disk); Ctrl-C ends in 130; a reader that closed the pipe (`... | head`) is no error. Other
    exceptions are defects and keep their traceback.
    """
    open_missing_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name or a caption may have characters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = main() or 0
        sys.stdout.flush()
    except CaptioningError as error:
        print(f"error: {shown(str(error))}", file=sys.stderr)
        code = 2
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        print(
            f"error: this needs the package {error.name}; {how_to_install(extra)}", file=sys.stderr
        )
        code = 2
    except KeyboardInterrupt:
        print("\nstopped" + (f"; {after_stop}" if after_stop else ""), file=sys.stderr)
        code = 130
    except BrokenPipeError:
        _drop_output()
        code = 0
    except OSError as error:  # a full disk, a folder that may not be written to
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {shown(where + (error.strerror or str(error)))}", file=sys.stderr)
        _drop_output()
        code = 2
    sys.exit(code)


def _drop_output() -> None:
    """Standard output into the null device: Python flushes it once more on its way out."""
    with suppress(OSError):  # it may have no number, in a notebook
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
