"""What a scene is: a ground, and one to three coloured things on it; random scenes."""

from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]
"""Red, green and blue, each from 0 to 255."""

COLOURS: dict[str, Colour] = {
    "red": (206, 24, 30),
    "orange": (250, 132, 12),
    "yellow": (255, 224, 34),
    "green": (16, 122, 58),
    "blue": (28, 74, 214),
    "purple": (118, 34, 156),
    "pink": (255, 150, 200),
}

KINDS = ("ball", "box", "star", "tree", "house", "car", "kite", "boat")
"""What stands on a ground; `drawing` has a painter for each."""


@dataclass(frozen=True)
class Ground:
    """The colours of a ground, far away and near, and how strongly it is mottled.

    mottle: standard deviation of its patches, in steps of a colour (0..255).
    """

    far: Colour
    near: Colour
    mottle: float


GROUNDS: dict[str, Ground] = {
    "grass": Ground((148, 190, 92), (110, 168, 66), 9.0),
    "sand": Ground((232, 210, 160), (214, 184, 122), 7.0),
    "snow": Ground((226, 233, 242), (246, 249, 253), 4.0),
    "water": Ground((116, 182, 204), (78, 152, 184), 6.0),
    "road": Ground((142, 142, 146), (112, 112, 118), 6.0),
}


@dataclass(frozen=True)
class Thing:
    """One object: its kind and colour, its centre and its side as shares of the image's side."""

    kind: str
    colour: str
    x: float
    y: float
    size: float


@dataclass(frozen=True)
class Scene:
    """A ground's name and the things on it, in the order in which captions name them."""

    ground: str
    things: tuple[Thing, ...]


def random_scene(generator: np.random.Generator) -> Scene:
    """Give a random scene of one to three things, no two alike and none overlapping another."""
    ground = str(generator.choice(list(GROUNDS)))
    count = int(generator.integers(1, 4))
    pairs = generator.choice(len(KINDS) * len(COLOURS), size=count, replace=False)
    places: list[tuple[float, float, float]] = []
    while len(places) < count:  # large things can leave no room for the last: place all again
        places = _random_places(count, generator)
    # The pairs' numbers go by kind, then colour: sorting them gives the captions' order.
    things = [
        Thing(KINDS[pair // len(COLOURS)], list(COLOURS)[pair % len(COLOURS)], *place)
        for pair, place in zip(sorted(int(pair) for pair in pairs), places, strict=True)
    ]
    return Scene(ground, tuple(things))


def _random_places(count: int, generator: np.random.Generator) -> list[tuple[float, float, float]]:
    """Give up to `count` places (x, y, size) apart from each other; fewer if there is no room."""
    places: list[tuple[float, float, float]] = []
    for horizontal, vertical, extra in generator.random((40, 3)).tolist():
        y = 0.36 + 0.44 * vertical
        size = 0.15 + 0.22 * y + 0.07 * extra  # what stands nearer looks larger
        x = size / 2 + 0.02 + (0.96 - size) * horizontal
        # Squares, each `size` wide, overlap unless their centres are far enough apart in x or y.
        apart = (
            max(abs(x - other_x), abs(y - other_y)) > 0.5 * (size + other_size) + 0.01
            for other_x, other_y, other_size in places
        )
        if all(apart):
            places.append((round(x, 4), round(y, 4), round(size, 4)))
        if len(places) == count:
            break
    return places
