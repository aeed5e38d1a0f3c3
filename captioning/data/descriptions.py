"""`descriptions.txt`: a row `name.jpg<TAB>clean caption` for each caption."""

import re
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.text import read_text

_UNESCAPED = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\\\": "\\"}

_ESCAPES = {ord(raw): escaped for escaped, raw in _UNESCAPED.items()}
"""How a tab, a line end or a backslash in a photo's name is written in `descriptions.txt`."""


def write_descriptions(captions: dict[str, list[str]]) -> str:
    """The content of `descriptions.txt`: a row `name.jpg<TAB>clean caption` for each caption.

    Tabs, line ends and backslashes in names are written \\t, \\n, \\r and \\\\.
    """
    return "".join(
        f"{name.translate(_ESCAPES)}\t{row}\n" for name, rows in captions.items() for row in rows
    )


def read_descriptions(path: Path) -> dict[str, list[str]]:
    """Read `descriptions.txt` back: `{file name: [clean caption, ...]}`.

    Raises `CaptioningError` naming the line that is no `name<TAB>caption`.
    """
    captions: dict[str, list[str]] = {}
    for number, line in enumerate(read_text(path, "the clean captions").split("\n"), 1):
        if not line.strip():
            continue
        name, tab, caption = line.rstrip("\r").partition("\t")
        if not tab or not name:
            raise CaptioningError(
                f"{path}, line {number}: expected name.jpg<TAB>caption, got {line[:60]!r}"
            )
        # In one pass: replaced one after the other, an escaped backslash before a "t" would become
        # a tab.
        name = re.sub(r"\\[tnr\\]", lambda found: _UNESCAPED[found[0]], name)
        captions.setdefault(name, []).append(caption)
    return captions
