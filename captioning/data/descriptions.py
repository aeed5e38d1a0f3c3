"""`descriptions.txt`: a row `name.jpg<TAB>clean caption` for each caption."""

import re
from pathlib import Path

from captioning.data.keras_tokenizer import MARKERS
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

    Also those of other projects: with any line ends, with a space for a tab where no line has a
    tab, and with markers around every caption, `startseq … endseq`, which are dropped, capitals or
    not. Raises `CaptioningError` naming the line that is no `name<TAB>caption`.
    """
    rows: list[tuple[str, str]] = []
    # Not splitlines(): captions may hold Unicode line separators.
    lines = re.split(r"\r\n|\r|\n", read_text(path, "the clean captions"))
    separator = "\t" if any("\t" in line for line in lines) else " "
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, found, caption = line.partition(separator)
        if not found or not name:
            raise CaptioningError(
                f"{path}, line {number}: expected name.jpg<TAB>caption, got {line[:60]!r}"
            )
        # In one pass: replaced one after the other, an escaped backslash before a "t" would become
        # a tab.
        name = re.sub(r"\\[tnr\\]", lambda found: _UNESCAPED[found[0]], name)
        rows.append((name, caption))
    captions: dict[str, list[str]] = {}
    for (name, _), caption in zip(rows, _bare([caption for _, caption in rows]), strict=True):
        captions.setdefault(name, []).append(caption)
    return captions


def _bare(captions: list[str]) -> list[str]:
    """The captions without the markers that stand around every one of them, if they do."""
    # A caption after the other: the words of millions would fill the memory.
    for start, end in MARKERS:
        if captions and all(
            len(words := caption.lower().split()) > 1 and (words[0], words[-1]) == (start, end)
            for caption in captions
        ):
            return [" ".join(caption.split()[1:-1]) for caption in captions]
    return captions
