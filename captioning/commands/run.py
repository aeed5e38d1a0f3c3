"""How a command starts and ends: from a script, or as a sub-command of `image-captions`."""

import importlib
import os
import sys
from collections.abc import Callable, Sequence

from captioning.errors import CONSOLE, SCRIPTS, CaptioningError, shown

SUMMARIES = {
    "caption": "caption photos",
    "features": "photos and captions -> vectors, vocabulary and clean captions",
    "train": "train a decoder on them",
    "evaluate": "score a model's captions against references",
    "demo": "the whole pipeline on rendered scenes",
    "app": "a page in the browser: drop photos, read and correct captions",
}


def console(arguments: Sequence[str] | None = None) -> None:
    """`image-captions COMMAND ...`: what the installed package puts on the path."""
    command, *others = (list(sys.argv[1:]) if arguments is None else list(arguments)) or ["--help"]
    if command in SCRIPTS:
        run_command(command, others, f"{CONSOLE} {command}")
    if command in ("-h", "--help"):
        lines = [f"  {name:10}{summary}" for name, summary in SUMMARIES.items()]
        print(f"usage: {CONSOLE} COMMAND ...\n\n" + "\n".join(lines))
        print(f"\n{CONSOLE} COMMAND --help tells of each.")
        return
    print(
        f"error: no command is named {shown(command)!r}; there are {', '.join(SCRIPTS)}",
        file=sys.stderr,
    )
    sys.exit(2)


def run_command(
    name: str, arguments: Sequence[str] | None = None, program: str | None = None
) -> None:
    """Run a command of this folder and leave the process with its exit code.

    arguments: those of the process where none are given; program: how help calls the command.
    """
    module = importlib.import_module(f"captioning.commands.{name}")
    run_main(lambda: module.main(arguments, program), getattr(module, "AFTER_STOP", ""))


def run_main(main: Callable[[], int | None], after_stop: str = "") -> None:
    """Run `main` and leave the process with its exit code.

    `after_stop` tells who stops it by Ctrl-C how to go on. A `CaptioningError` ends in one line
    on standard error and exit code 2, Ctrl-C in 130; a reader that closed the pipe
    (`... | head`) is no error. Other exceptions are defects and keep their traceback.
    """
    try:
        code = main() or 0
        sys.stdout.flush()
    except CaptioningError as error:
        print(f"error: {shown(str(error))}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("\nstopped" + (f"; {after_stop}" if after_stop else ""), file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # Python would complain once more when it flushes the closed pipe on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
