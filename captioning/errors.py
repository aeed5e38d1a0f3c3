"""The error that a user can put right, and how messages name files and commands."""

import sys
from pathlib import Path

CONSOLE = "image-captions"
"""The console command of the installed package; its sub-commands are the keys of `SCRIPTS`."""

SCRIPTS = {
    "caption": "caption_generator.py",
    "features": "features.py",
    "train": "train.py",
    "evaluate": "evaluate.py",
    "export": "export.py",
    "convert": "convert.py",
    "demo": "demo.py",
    "app": "app.py",
}
"""The script at the top of the repository for each sub-command."""


class CaptioningError(Exception):
    """Something the user can fix: the message says what was wrong, where, and what to do next.

    The commands print it in one line, without a traceback, and end with exit code 2.
    """


def shown(text: str) -> str:
    """The text, safe on a terminal: control characters and line ends are written as escapes.

    Names of files come from strangers, and terminals obey escape sequences in them.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def command_line(command: str) -> str:
    """How to type a command, for messages: "python train.py" or "image-captions train".

    As this process itself was called: by the console command, as a module, or by a script. Where
    there is no checkout there are no scripts.
    """
    is_checkout = (Path(__file__).parent.parent / SCRIPTS[command]).is_file()
    by_console = Path(sys.argv[0]).stem == CONSOLE or console_name() != CONSOLE
    if is_checkout and not by_console:
        return f"python {SCRIPTS[command]}"
    return f"{console_name()} {command}"


def console_name() -> str:
    """How the console command is typed: "image-captions", or "python -m captioning"."""
    called = Path(sys.argv[0])
    as_module = called.name == "__main__.py" and called.parent.name == "captioning"
    return "python -m captioning" if as_module else CONSOLE
