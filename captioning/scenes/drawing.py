"""Scenes drawn as images, with some of the variety of photos.

Light, clouds, texture, shades and noise are random: no two images of one scene are the same.
"""

from collections.abc import Callable, Iterable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from captioning.scenes.world import COLOURS, GROUNDS, Colour, Ground, Scene, Thing

SKY_TOP: Colour = (126, 176, 230)
SKY_BOTTOM: Colour = (214, 230, 244)


def draw_scene(scene: Scene, generator: np.random.Generator, size: int = 128) -> Image.Image:
    """Draw a scene as an RGB image of (size, size) pixels.

    The generator chooses what the scene leaves open: the light, the clouds, the texture of the
    ground, the exact shades and the noise of the camera. Things are drawn at twice the size and
    reduced, which smooths their edges (Pillow draws without anti-aliasing).
    """
    horizon = generator.uniform(0.24, 0.32)
    canvas = _draw_background(GROUNDS[scene.ground], horizon, size, generator)
    _draw_shadows(canvas, scene.things, generator)
    canvas = canvas.resize((2 * size, 2 * size), Image.Resampling.NEAREST)  # soft already
    pen = ImageDraw.Draw(canvas)
    _draw_details(pen, scene.ground, horizon, 2 * size, generator)
    for thing in sorted(scene.things, key=lambda thing: thing.y):  # the nearest comes last
        jitter = generator.integers(-7, 8, size=3)
        red, green, blue = np.clip(COLOURS[thing.colour] + jitter, 0, 255).tolist()
        _PAINTERS[thing.kind](_Brush(pen, thing, 2 * size), (red, green, blue))
    return _photograph(canvas.reduce(2), generator)


def _draw_background(
    ground: Ground, horizon: float, side: int, generator: np.random.Generator
) -> Image.Image:
    """Give sky and mottled ground as an RGB image of (side, side) pixels."""
    line = round(side * horizon)
    sky = _gradient(SKY_TOP, SKY_BOTTOM, rows=6)
    earth = _gradient(ground.far, ground.near, rows=20)
    # Few columns, stretched: clouds and patches are wider than high, as they look from the side.
    clouds = np.clip(generator.standard_normal((6, 7, 1)) - 0.3, 0, 1.2)
    patches = generator.standard_normal((20, 12, 1))
    sky, earth = sky + 42 * clouds, earth + ground.mottle * patches  # (6, 7, 3), (20, 12, 3)
    resized = [
        Image.fromarray(np.clip(part, 0, 255).astype(np.uint8)).resize(
            (side, height), Image.Resampling.BICUBIC
        )
        for part, height in ((sky, line), (earth, side - line))
    ]
    canvas = Image.new("RGB", (side, side))
    canvas.paste(resized[0], (0, 0))
    canvas.paste(resized[1], (0, line))  # a sharp horizon
    return canvas


def _gradient(top: Colour, bottom: Colour, rows: int) -> np.ndarray:
    """Give a column of colours from top to bottom as floats of shape (rows, 1, 3)."""
    down = np.linspace(0, 1, rows)[:, None, None]  # (rows, 1, 1)
    return (1 - down) * np.array(top) + down * np.array(bottom)  # (rows, 1, 3)


def _draw_details(
    pen: ImageDraw.ImageDraw,
    name: str,
    horizon: float,
    side: int,
    generator: np.random.Generator,
) -> None:
    """Draw what distinguishes a ground: blades, ripples, waves, drifts or the road's markings."""
    ground = GROUNDS[name]
    top = side * horizon
    marks = generator.random((45, 4)).tolist()  # the same draws for every ground: (45, 4)
    if name == "road":
        _draw_road_markings(pen, top, side, marks[0][0])
    for across, down, length, tone in marks:
        depth = 0.25 + 0.75 * down  # far marks are small,
        x, y = side * across, top + 3 + (side - top) * down**1.4  # and closer together
        shade = _mix(ground.near, (0, 0, 0) if tone < 0.5 else (255, 255, 255), 0.16)
        reach = side * depth * (0.02 + 0.05 * length)
        if name == "grass":
            pen.line((x, y, x + reach * (tone - 0.5), y - reach * 0.7), shade, 2)
        elif name == "water":
            pen.arc((x - reach, y, x + reach, y + reach * 0.7), 200, 340, shade, 2)
        elif name == "sand":
            pen.line((x - reach * 0.3, y, x + reach * 0.3, y), shade, 2)
        elif name == "snow":
            drift = _mix(ground.near, (150, 175, 215), 0.16)
            pen.arc((x - 2 * reach, y, x + 2 * reach, y + reach), 190, 350, drift, 3)
        else:
            pen.point((x, y), shade)


def _draw_road_markings(pen: ImageDraw.ImageDraw, top: float, side: int, shift: float) -> None:
    """Draw verges and a broken middle line that run together at the horizon."""
    middle = side * (0.35 + 0.3 * shift)
    verge = (150, 158, 120)
    pen.polygon([(0, top), (middle - 0.16 * side, top), (0, side * 0.62)], verge)
    pen.polygon([(side, top), (middle + 0.16 * side, top), (side, side * 0.62)], verge)
    for near, far in ((0.06, 0.14), (0.25, 0.4), (0.58, 0.85)):
        corners = [
            (middle + direction * side * 0.028 * depth, top + (side - top) * depth)
            for direction, depth in ((-1, near), (1, near), (1, far), (-1, far))
        ]
        pen.polygon(corners, (226, 226, 218))


def _draw_shadows(
    canvas: Image.Image, things: Iterable[Thing], generator: np.random.Generator
) -> None:
    """Darken the ground under the things, softly and all in the same direction."""
    coarse = canvas.width // 2  # a shadow is blurred anyway
    mask = Image.new("L", (coarse, coarse))
    pen = ImageDraw.Draw(mask)
    lean = generator.uniform(-0.3, 0.3)
    for thing in things:
        middle, foot = thing.x + lean * thing.size, thing.y + 0.46 * thing.size
        wide, high = 0.52 * thing.size, 0.13 * thing.size
        corners = (middle - wide, foot - high, middle + wide, foot + high)
        pen.ellipse([corner * coarse for corner in corners], fill=105)
    mask = mask.filter(ImageFilter.GaussianBlur(coarse / 40))
    canvas.paste((22, 26, 40), mask=mask.resize(canvas.size, Image.Resampling.BILINEAR))


def _photograph(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Give the image under a random light, falling off to one side, with a camera's noise."""
    side = image.width
    brightness = generator.uniform(0.9, 1.06) * generator.uniform(0.98, 1.02, size=3)
    slope = np.linspace(-1, 1, side) * generator.uniform(-0.06, 0.06)
    light = (brightness * (1 + slope[:, None])).astype(np.float32)  # (side, 3)
    noise = generator.standard_normal((side, side, 1), dtype=np.float32)
    pixels = np.asarray(image, np.float32) * light + generator.uniform(1.5, 4.0) * noise
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _mix(colour: Colour, other: Colour, share: float) -> Colour:
    """Give the colour with a share (0..1) of another one in it."""
    red, green, blue = (
        round((1 - share) * part + share * more) for part, more in zip(colour, other, strict=True)
    )
    return red, green, blue


def _dark(colour: Colour, share: float = 0.3) -> Colour:
    return _mix(colour, (0, 0, 0), share)


def _light(colour: Colour, share: float = 0.3) -> Colour:
    return _mix(colour, (255, 255, 255), share)


class _Brush:
    """Draws in a thing's own square: (0, 0) is its upper left corner, (1, 1) its lower right.

    Numbers are x and y in turn, as Pillow takes them; the painters below know no pixels.
    """

    def __init__(self, pen: ImageDraw.ImageDraw, thing: Thing, side: int) -> None:
        self.pen = pen
        self.unit = thing.size * side
        self.left = thing.x * side - self.unit / 2
        self.top = thing.y * side - self.unit / 2

    def _pixels(self, numbers: Iterable[float]) -> list[float]:
        """Give pixel coordinates of numbers that are x and y in turn."""
        starts = (self.left, self.top)
        return [starts[turn % 2] + self.unit * number for turn, number in enumerate(numbers)]

    def polygon(self, colour: Colour, *numbers: float, edge: Colour | None = None) -> None:
        self.pen.polygon(self._pixels(numbers), colour, edge, 2)

    def ellipse(self, colour: Colour, *numbers: float, edge: Colour | None = None) -> None:
        self.pen.ellipse(self._pixels(numbers), colour, edge, 2)

    def rectangle(self, colour: Colour, *numbers: float, edge: Colour | None = None) -> None:
        self.pen.rectangle(self._pixels(numbers), colour, edge, 2)

    def line(self, colour: Colour, *numbers: float, width: float = 0.03) -> None:
        self.pen.line(self._pixels(numbers), colour, max(1, round(width * self.unit)), "curve")


def _paint_ball(brush: _Brush, colour: Colour) -> None:
    brush.ellipse(_dark(colour, 0.22), 0.04, 0.04, 0.96, 0.96, edge=_dark(colour, 0.45))
    brush.ellipse(colour, 0.08, 0.05, 0.88, 0.85)
    brush.ellipse(_light(colour, 0.25), 0.18, 0.13, 0.58, 0.53)
    brush.ellipse(_light(colour, 0.75), 0.27, 0.2, 0.43, 0.36)


def _paint_box(brush: _Brush, colour: Colour) -> None:
    edge = _dark(colour, 0.5)
    brush.polygon(_light(colour, 0.3), 0.02, 0.27, 0.25, 0.05, 0.98, 0.05, 0.75, 0.27, edge=edge)
    brush.polygon(_dark(colour, 0.32), 0.75, 0.27, 0.98, 0.05, 0.98, 0.74, 0.75, 0.97, edge=edge)
    brush.rectangle(colour, 0.02, 0.27, 0.75, 0.97, edge=edge)


def _paint_star(brush: _Brush, colour: Colour) -> None:
    angles = np.arange(10) * np.pi / 5
    radius = np.where(np.arange(10) % 2 == 0, 0.55, 0.22)
    points = np.stack([0.5 + radius * np.sin(angles), 0.54 - radius * np.cos(angles)], axis=1)
    brush.polygon(colour, *points.ravel().tolist(), edge=_dark(colour, 0.5))
    for tip in range(0, 10, 2):  # each arm has a shaded side
        facet = [*points[tip], *points[(tip + 1) % 10], 0.5, 0.54]
        brush.polygon(_dark(colour, 0.2), *facet)


def _paint_tree(brush: _Brush, colour: Colour) -> None:
    brush.rectangle((104, 70, 42), 0.42, 0.72, 0.58, 1.0)
    for top, bottom, wide in ((0.42, 0.82, 0.42), (0.2, 0.58, 0.34), (-0.02, 0.34, 0.25)):
        points = (0.5, top, 0.5 + wide, bottom, 0.5 - wide, bottom)
        brush.polygon(colour, *points, edge=_dark(colour, 0.45))
        brush.polygon(_dark(colour, 0.18), 0.5, top, 0.5 + wide, bottom, 0.5, bottom)


def _paint_house(brush: _Brush, colour: Colour) -> None:
    edge = _dark(colour, 0.5)
    brush.rectangle((150, 90, 70), 0.7, 0.06, 0.82, 0.3)
    brush.rectangle(colour, 0.12, 0.42, 0.88, 0.98, edge=edge)
    brush.polygon(_dark(colour, 0.4), 0.0, 0.45, 0.5, 0.02, 1.0, 0.45, edge=edge)
    brush.rectangle((250, 246, 224), 0.2, 0.54, 0.42, 0.76, edge=edge)
    brush.line(edge, 0.31, 0.54, 0.31, 0.76)
    brush.rectangle((78, 54, 40), 0.56, 0.58, 0.76, 0.98)


def _paint_car(brush: _Brush, colour: Colour) -> None:
    edge = _dark(colour, 0.5)
    cabin = (0.2, 0.52, 0.32, 0.24, 0.7, 0.24, 0.84, 0.52)
    brush.polygon(colour, *cabin, edge=edge)
    brush.polygon((214, 234, 244), 0.28, 0.5, 0.36, 0.31, 0.49, 0.31, 0.49, 0.5)
    brush.polygon((214, 234, 244), 0.54, 0.5, 0.54, 0.31, 0.67, 0.31, 0.75, 0.5)
    body = (0.0, 0.56, 0.08, 0.49, 0.92, 0.49, 1.0, 0.58, 1.0, 0.8, 0.0, 0.8)
    brush.polygon(colour, *body, edge=edge)
    brush.rectangle(_dark(colour, 0.25), 0.03, 0.7, 0.97, 0.78)
    for middle in (0.24, 0.76):
        brush.ellipse((28, 28, 32), middle - 0.15, 0.66, middle + 0.15, 0.96)
        brush.ellipse((196, 196, 200), middle - 0.06, 0.75, middle + 0.06, 0.87)


def _paint_kite(brush: _Brush, colour: Colour) -> None:
    edge = _dark(colour, 0.5)
    brush.line(edge, 0.45, 0.68, 0.58, 0.8, 0.46, 0.9, 0.62, 1.02, width=0.04)
    for x, y in ((0.58, 0.8), (0.47, 0.9)):
        left, right, upper, lower = x - 0.1, x + 0.1, y - 0.06, y + 0.06
        brush.polygon(colour, left, upper, right, lower, right, upper, left, lower)  # a bow
    brush.polygon(colour, 0.45, -0.03, 0.84, 0.27, 0.45, 0.7, 0.06, 0.27, edge=edge)
    brush.polygon(_light(colour, 0.38), 0.45, -0.01, 0.45, 0.27, 0.09, 0.27)
    brush.polygon(_light(colour, 0.38), 0.81, 0.27, 0.45, 0.27, 0.45, 0.68)
    brush.line(edge, 0.45, 0.0, 0.45, 0.68)
    brush.line(edge, 0.08, 0.27, 0.82, 0.27)


def _paint_boat(brush: _Brush, colour: Colour) -> None:
    edge = _dark(colour, 0.5)
    brush.line((96, 66, 42), 0.47, 0.0, 0.47, 0.72, width=0.05)
    brush.polygon((250, 248, 240), 0.52, 0.04, 0.92, 0.58, 0.52, 0.58, edge=(150, 150, 156))
    brush.polygon((250, 248, 240), 0.42, 0.16, 0.42, 0.58, 0.14, 0.58, edge=(150, 150, 156))
    brush.polygon(colour, 0.0, 0.66, 1.0, 0.66, 0.82, 0.97, 0.18, 0.97, edge=edge)
    brush.line(_light(colour, 0.5), 0.06, 0.73, 0.94, 0.73, width=0.05)


_PAINTERS: dict[str, Callable[[_Brush, Colour], None]] = {
    "ball": _paint_ball,
    "box": _paint_box,
    "star": _paint_star,
    "tree": _paint_tree,
    "house": _paint_house,
    "car": _paint_car,
    "kite": _paint_kite,
    "boat": _paint_boat,
}
