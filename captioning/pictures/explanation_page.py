"""An explained caption as one page of HTML that loads nothing; without Matplotlib."""

import math
import os
from collections.abc import Callable
from html import escape
from pathlib import Path
from string import Template

from PIL import Image

from captioning.files.text import write_text
from captioning.inference.caption_decoder import WordChoice
from captioning.inference.familiarity import is_unfamiliar
from captioning.pictures.attention_maps import LITTLE_WORDS, overlay_attention, region_name
from captioning.pictures.explanation import LIKELIEST, Explanation
from captioning.pictures.tree_figure import draw_tree, percent
from captioning.vision.images import as_data

PHOTO, TILE = 640, 260
"""Pixels of the photo's longer side, and of the tiles'."""

LOOKS = (
    "The warm places of the photo are those that the decoder weighed most just before it said the "
    "word. "
)
LIKELIEST_WORDS = (
    f"The bars are the {LIKELIEST} likeliest words for this place, given the photo and the words "
    "before it. In orange: the word that was said. A beam may pass the likeliest word over, where "
    "another one leads to a likelier sentence."
)
TREE = (
    "<p>The search kept several beginnings side by side, and after each word only the likeliest "
    "went on. The thicker a line, the likelier its word after the words before it. In orange: the "
    "way to the caption. Grey: given up, as other beginnings were likelier. A number is a finished "
    "sentence, at its place in the list below.{few}</p>"
)
NO_TREE = (
    "<p>This was greedy search: it took the likeliest word each time and looked at no other "
    "sentence. With --beam 5 there is a tree of those that it kept.</p>"
)


def write_explanation(explanation: Explanation, shown: Callable[[int], str], path: Path) -> None:
    """Write the page, whole or not at all. shown: a token's word, for the tree."""
    write_text(path, explanation_page(explanation, shown))


def explanation_page(explanation: Explanation, shown: Callable[[int], str]) -> str:
    """The page's text. shown: a token's word."""
    template = Template(Path(__file__).with_name("explanation.html").read_text(encoding="utf-8"))
    small = _smaller(explanation.image, TILE)
    looks = any(choice.attention is not None for choice in explanation.words)
    return template.substitute(
        caption=escape(explanation.caption),
        photo=as_data(_smaller(explanation.image, PHOTO)),
        # Names of files needn't be UTF-8.
        file=escape(os.fsencode(explanation.photo.name).decode("utf-8", "replace")),
        model=escape(explanation.model),
        decoding=escape(str(explanation.settings)),
        mean=f"{math.exp(explanation.best[0][1]):.0%}",
        familiar=_familiar(explanation.familiar),
        about_words=(LOOKS if looks else "") + LIKELIEST_WORDS,
        words="\n".join(_word(choice, small) for choice in explanation.words),
        title_of_best="What else it could have said",
        tree=_tree(explanation, shown),
        best="\n".join(
            f"<li>{escape(text)} <small>{math.exp(score):.0%} a word</small></li>"
            for text, score in explanation.best
        ),
    )


def _smaller(image: Image.Image, side: int) -> Image.Image:
    copy = image.convert("RGB")
    copy.thumbnail((side, side))  # in place
    return copy


def _familiar(share: float | None) -> str:
    if share is None:
        return ""
    text = f"Familiar: {share:.1%} of ordinary photos are no more like the training photos."
    if is_unfamiliar(share):
        text = f"<b>This photo is unlike those that the model learned from.</b> {text}"
    return f"<p>{text}</p>"


def _word(choice: WordChoice, photo: Image.Image) -> str:
    """The item of a word: where the decoder looked, and the likeliest words at its place."""
    word = escape(choice.word)
    picture = ""
    if choice.attention is not None:
        place = region_name(choice.attention)
        picture = (
            f'<img src="{as_data(overlay_attention(photo, choice.attention))}" '
            f'alt="{word}: looked at the {place} most">'
        )
    rows = list(choice.likeliest)
    if choice.word not in dict(rows):  # what the beam chose needn't be among the likeliest
        rows.append((choice.word, choice.probability))
    bars = "\n".join(
        f'<tr{" class=said" if other == choice.word else ""}><th scope="row">{escape(other)}</th>'
        f'<td><span style="width:{0.58 * share:.1%}"></span>{percent(share)}</td></tr>'
        for other, share in rows
    )
    kind = ' class="little"' if choice.word in LITTLE_WORDS else ""
    return f"<li{kind}><h3>{word}</h3>{picture}\n<table>{bars}</table></li>"


def _tree(explanation: Explanation, shown: Callable[[int], str]) -> str:
    if explanation.tree is None:
        return NO_TREE
    label = f"The tree of what the beam kept; it ends in the {len(explanation.best)} captions below"
    few, settings = "", explanation.settings
    judges = ["a critic"] * (settings.critic > 0)
    judges += ["the captions of similar training photos"] * (settings.neighbours > 0)
    if judges:
        few = f" Then {' and '.join(judges)} helped to choose among the finished ones."
    drawn = draw_tree(explanation.tree, shown, label)
    # tabindex: a region that scrolls must be reachable by keyboard.
    return (
        TREE.format(few=few)
        + f'\n<div class="tree" tabindex="0" role="group" aria-label="Tree">{drawn}</div>'
    )
