"""The errors that a person at the keyboard can mend, in words they can act on."""

import sys
from pathlib import Path

CONSOLE = "image-captions"
"""The console command of the installed package; its sub-commands are the keys of `SCRIPTS`."""

SCRIPTS = {
    "caption": "caption_generator.py",
    "features": "features.py",
    "train": "train.py",
    "evaluate": "evaluate.py",
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

    The one who runs `image-captions`, or has no checkout, has no scripts to run.
    """
    is_checkout = (Path(__file__).parent.parent / SCRIPTS[command]).is_file()
    if is_checkout and Path(sys.argv[0]).stem != CONSOLE:
        return f"python {SCRIPTS[command]}"
    return f"{CONSOLE} {command}"
