"""Captions as one HTML page: photos with their alt texts, each a row of a `RowFormat`."""

import os
import re
from html import escape
from pathlib import Path
from urllib.parse import quote

from captioning.inference.captioner import Caption
from captioning.inference.familiarity import is_unfamiliar
from captioning.output.escaping import single_line

# HTML lets <body> and </html> be left out, so the page is valid after every row: a run that was
# stopped leaves a page that a browser shows.
HEADER = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Captions</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.4 system-ui, sans-serif }
body { margin: 0 auto; max-width: 90rem; padding: 1rem; display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)) }
h1 { grid-column: 1 / -1; margin: 0; font-size: 1.5rem }
figure { margin: 0; border-radius: .5rem; overflow: hidden; background: #8882;
  break-inside: avoid }
img { display: block; width: 100%; height: 15rem; object-fit: contain }
figcaption { padding: .6rem .9rem .8rem; font-weight: 600; overflow-wrap: anywhere }
small { display: block; font-weight: 400; opacity: .8 }
strong { color: #b34e06; color: light-dark(#a04405, #f2a162) }
.unsure { outline: .2rem dashed #c4580a; outline-offset: -.2rem }
.unlike { color: #3b57b0; color: light-dark(#31499c, #a3b8ff) }
[data-unlike] { border: .35rem double #5f7fe0 }
[data-unlike].unsure { outline-offset: .1rem }
@media print {
  body { padding: 0; gap: .6rem; grid-template-columns: repeat(3, 1fr); font-size: 9pt }
  img { height: 8rem }
}
</style>
<h1>Captions</h1>
"""

FIGURE = re.compile(
    r'<figure(?: class="unsure")? data-score="([^"]*)"(?: data-familiar="[^"]*")?(?: data-unlike)?>'
    r'<a href="([^"]*)"'
)
"""The start of a row: the score, and the link that names the photo."""

PLAIN = ("<figure data", "<figcaption>")
MARKED = ('<figure class="unsure" data', "<figcaption><strong>unsure:</strong> ")
"""The two places of a row that the mark "unsure" changes, without it and with it."""

UNLIKE = '<strong class="unlike">unlike the training photos:</strong> '
"""Before the caption of a photo to which the model is no guide. In words: a screen reader says
them, and paper may have no colours."""

NO_TEXT = "no alt text (decorative)"
"""In place of an empty caption, for who sees the page."""


class HtmlFormat:
    """A page that loads nothing but the photos, which it links to by relative paths.

    folder: where the page is written.
    """

    header = HEADER
    multiline = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def name_of(self, photo: Path) -> str:
        """The link to the photo."""
        photo = Path(os.path.abspath(photo))  # noqa: PTH100  (symbolic links stay as they are)
        try:
            path = os.path.relpath(photo, self.folder)
        except ValueError:  # Windows: on another drive
            return photo.as_uri()
        return quote(os.fsencode(Path(path).as_posix()))

    def row_of(self, caption: Caption) -> str:
        """The line of a caption: a figure."""
        link, text = self.name_of(caption.image), escape(single_line(caption.caption))
        name = escape(single_line(str(caption.image)))
        familiar, unlike = caption.familiar, is_unfamiliar(caption.familiar)
        about = "" if familiar is None else f' data-familiar="{familiar:.3f}"'
        about += " data-unlike" * unlike
        # Without an alt text nothing else tells a screen reader what the link is.
        label = "" if text else f' aria-label="{name}"'
        return (
            f'<figure data-score="{caption.score:.4f}"{about}><a href="{link}"{label}>'
            f'<img src="{link}" alt="{text}" loading="lazy"></a>'
            f"<figcaption>{UNLIKE * unlike}{text or NO_TEXT} <small>{name}</small></figcaption>"
            "</figure>\n"
        )

    def parse(self, row: str) -> tuple[str, float]:
        """Link and score."""
        found = FIGURE.match(row)
        if not found:
            raise ValueError("no figure")
        return found[2], float(found[1])

    def mark(self, row: str, unsure: bool) -> str:
        """The line with a frame and the word "unsure", or without."""
        for plain, marked in zip(PLAIN, MARKED, strict=True):
            # A mark is removed first, so that it is never added twice.
            row = row.replace(marked, plain, 1)
            if unsure:
                row = row.replace(plain, marked, 1)
        return row
