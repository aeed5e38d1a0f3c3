"""A caption's text as people need it: without gender, a sentence, short enough, in a template."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING

from captioning.errors import CaptioningError, shown

if TYPE_CHECKING:
    from captioning.inference.captioner import Caption

FIELDS = ("caption", "folder", "name", "file", "path")
"""What a template may name: the caption, and of the photo the folder's name, the file's name
without and with its ending, and the path as it was given."""

ELLIPSIS = "…"
"""Ends a caption that was cut; it counts as one character."""

STOPS = (".", "!", "?", "。", ELLIPSIS)
"""What a sentence may end in."""

LITTLE = {
    *("a", "an", "the", "and", "or", "as", "of", "in", "on", "at", "by", "to", "for", "with"),
    *("from", "into", "onto", "over", "through", "near", "his", "her", "its", "their"),
}
"""Words that a cut caption doesn't end in (English)."""


@dataclass(frozen=True, kw_only=True)
class Wording:
    """What becomes of a caption's words before they are written.

    neutral: without people's gender, by `data.neutral`; sentence: a capital first, a full stop
    last; max_characters: of what is written, the template's included; template: with the names of
    `FIELDS` in braces; decorative: photos less familiar than this share get an empty text.

    Raises `CaptioningError` for a template that can't be filled.
    """

    neutral: bool = False
    sentence: bool = False
    max_characters: int | None = None
    template: str = "{caption}"
    decorative: float | None = None

    def __post_init__(self) -> None:
        check_template(self.template)

    def apply(self, caption: "Caption", top: int = 1) -> "tuple[Caption, bool]":
        """The caption as it is to be written, and whether it had to be cut.

        Of all its `best`, as many as the beam found, the likeliest that are short enough are
        kept, `top` at most. Only where none is, the shortest is cut at a word. A caption of which
        not even one word fits comes back with an `error`.
        """
        if caption.error:
            return caption, False
        if self.is_decorative(caption):
            return replace(caption, caption="", best=[]), False
        likeliest = self._likeliest(caption)
        texts = [(self._written(words, caption.image), score) for words, score in likeliest]
        fitting = [(text, score) for text, score in texts if self._fits(text)]
        if fitting:
            text, score = fitting[0]
            return replace(caption, caption=text, score=score, best=fitting[:top]), False
        words, score = min(likeliest, key=lambda one: len(one[0]))
        cut = self._cut(words, caption.image)
        if cut is None:
            reason = f"not a word of its caption fits into {self.max_characters} characters"
            return replace(caption, error=reason), False
        return replace(caption, caption=cut, score=score, best=[(cut, score)]), True

    def is_decorative(self, caption: "Caption") -> bool:
        """Whether the photo gets an empty text, as the model sees nothing that it knows."""
        familiar = caption.familiar
        return self.decorative is not None and familiar is not None and familiar < self.decorative

    def _likeliest(self, caption: "Caption") -> list[tuple[str, float]]:
        """The captions to choose from, best first, each once."""
        best = caption.best or [(caption.caption, caption.score)]
        if not self.neutral:
            return best
        from captioning.data.neutral import without_gender  # here: its patterns take 20 ms

        found: dict[str, float] = {}
        for words, score in best:
            found.setdefault(without_gender(words), score)  # two may differ in a gender alone
        return list(found.items())

    def _written(self, words: str, image: Path) -> str:
        """The text of a caption's words: as a sentence, if asked for, and in the template."""
        text = as_sentence(words) if self.sentence else words
        if self.template == "{caption}":
            return text
        names = {
            # Not `resolve`: a photo that is a link is where the link is.
            "folder": Path(os.path.abspath(image)).parent.name,  # noqa: PTH100
            "name": image.stem,
            "file": image.name,
            "path": str(image),
        }
        # Names come from strangers: one line each, without what steers a terminal.
        fields = {field: shown(" ".join(name.split())) for field, name in names.items()}
        return self.template.format(caption=text, **fields)

    def _fits(self, text: str) -> bool:
        return self.max_characters is None or len(text) <= self.max_characters

    def _cut(self, words: str, image: Path) -> str | None:
        """As many of the first words as fit, with an ellipsis; None if not even one does."""
        kept = words.split()[:-1]
        while kept:
            text = self._written(" ".join(kept) + ELLIPSIS, image)
            if self._fits(text) and kept[-1] not in LITTLE:
                return text
            kept.pop()
        return None


def as_sentence(words: str) -> str:
    """The words with a capital first and, where nothing ends them yet, a full stop last."""
    text = words[:1].title() + words[1:]
    return text if not text or text.endswith(STOPS) else f"{text}."


def check_template(template: str) -> None:
    """Raise `CaptioningError` unless a template is text with names of `FIELDS` in braces.

    A name alone, nothing of what Python's format strings can do besides: they reach attributes,
    and fill memory with `{caption:9999999999}`.
    """
    known = ", ".join(f"{{{name}}}" for name in FIELDS)
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise CaptioningError(
            f"--template {template!r}: {error}; a brace itself is written twice: {{{{ or }}}}"
        ) from None
    fields = [(name, spec, conversion) for _, name, spec, conversion in parts if name is not None]
    for name, spec, conversion in fields:
        if name not in FIELDS:
            raise CaptioningError(
                f"--template {template!r}: there is no field {{{name}}}; known are {known}"
            )
        if spec or conversion:
            raise CaptioningError(
                f"--template {template!r}: {{{name}}} stands alone in its braces, nothing after it"
            )
    if "caption" not in [name for name, *_ in fields]:
        raise CaptioningError(f"--template {template!r} has no {{caption}}; known are {known}")
