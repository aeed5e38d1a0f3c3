"""The errors that a person at the keyboard can mend, in words they can act on."""

import sys
from pathlib import Path

CONSOLE = "image-captions"
"""The console command that `pip install` brings; its sub-commands are `SCRIPTS`."""

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
    """Something the user can put right: the message says what was wrong, where, and what to do."""


def shown(text: str) -> str:
    """The text on one line of a terminal: what ends lines or steers it is written as an escape."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def command_line(command: str) -> str:
    """How to type a command, for messages: "python train.py" or "image-captions train".

    The one who runs `image-captions`, or has no checkout, has no scripts to run.
    """
    is_checkout = (Path(__file__).parent.parent / SCRIPTS[command]).is_file()
    if is_checkout and Path(sys.argv[0]).stem != CONSOLE:
        return f"python {SCRIPTS[command]}"
    return f"{CONSOLE} {command}"
