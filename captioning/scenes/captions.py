"""Captions of scenes, and whether a caption is right.

A scene says what is in it, so that a caption can be checked against the image itself, which no
metric against human references can.
"""

import re

import numpy as np

from captioning.scenes.world import COLOURS, KINDS, Scene

CAPTIONS_A_SCENE = 5
"""As Flickr8k has for each photo."""

_TEMPLATES = (
    "{things} on the {ground}",
    "{things} {be} on the {ground}",
    "on the {ground} there {be} {things}",
    "there {be} {things} on the {ground}",
    "the {ground} with {things} on it",
)

_TEMPLATES_FOR_ONE = (
    "{first} stands alone on the {ground}",
    "{first} and nothing else on the {ground}",
)

_TEMPLATES_FOR_MORE = (
    "{first} next to {others} on the {ground}",
    "{first} together with {others} on the {ground}",
)


def scene_captions(scene: Scene, generator: np.random.Generator) -> list[str]:
    """Give five different captions, each naming every thing with its colour and the ground.

    They are written as in Flickr8k: a capital first, and a blank before the full stop. Things
    come by kind, then by colour, as in `KINDS` and `COLOURS`.
    """
    order = list(COLOURS)
    things = sorted(scene.things, key=lambda it: (KINDS.index(it.kind), order.index(it.colour)))
    names = [f"{_article(thing.colour)} {thing.colour} {thing.kind}" for thing in things]
    more = _TEMPLATES_FOR_MORE if len(names) > 1 else _TEMPLATES_FOR_ONE
    templates = generator.choice([*_TEMPLATES, *more], size=CAPTIONS_A_SCENE, replace=False)
    captions = []
    for template in templates.tolist():
        caption = template.format(
            things=_listed(names),
            first=names[0],
            others=_listed(names[1:]),
            ground=scene.ground,
            # "there is a ball and a box": English counts only the first thing after "there".
            be="is" if len(names) == 1 or "there" in template else "are",
        )
        captions.append(f"{caption[0].upper()}{caption[1:]} .")
    return captions


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _listed(names: list[str]) -> str:
    # "and" between all of them: cleaning drops commas, and "a ball a box" would be no English.
    return " and ".join(names)


def names_all(scene: Scene, caption: str) -> bool:
    """Say whether the caption names exactly the scene's coloured things: no more, no fewer.

    Capitals, punctuation, the order of the things and the ground do not matter. A colour without
    a thing, a thing without a colour or a thing named twice is wrong.
    """
    words = re.findall("[a-z]+", caption.lower())
    kinds = [word for word in words if word in KINDS]
    colours = [word for word in words if word in COLOURS]
    named = [
        (colour, kind)
        for colour, kind in zip(words, words[1:], strict=False)
        if colour in COLOURS and kind in KINDS
    ]
    wanted = [(thing.colour, thing.kind) for thing in scene.things]
    # The lengths: no kind or colour outside of a pair, as in "a red ball and a car".
    return sorted(named) == sorted(wanted) and len(named) == len(kinds) == len(colours)
