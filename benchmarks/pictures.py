"""Pictures that are no photos of people and dogs: drawn here, the same each time.

Each function of `KINDS` draws one picture with the generator's next numbers.
"""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WORDS = """account report annual meeting total the of and to in is for with a budget table figure
page open file edit view help search settings name date price order result value version""".split()  # noqa: SIM905  (a list of thirty words is less readable)

SIZE = (400, 300)
"""Pixels of a drawn picture: width and height."""


def scene(generator: np.random.Generator) -> Image.Image:
    """One of the demo's rendered scenes."""
    from captioning.scenes.drawing import draw_scene
    from captioning.scenes.world import random_scene

    return draw_scene(random_scene(generator), generator)


def drawing(generator: np.random.Generator) -> Image.Image:
    """Outlines and filled shapes in a few colours on white, and strokes as of a pen."""
    image = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(image)
    for _ in range(generator.integers(4, 12)):
        box = _box(generator)
        fill = _colour(generator) if generator.random() < 0.5 else None
        shape = pen.ellipse if generator.random() < 0.5 else pen.rectangle
        shape(box, fill, "black", int(generator.integers(1, 5)))
    for _ in range(generator.integers(2, 8)):
        start = generator.integers(0, SIZE)  # (2,)
        steps = generator.integers(-40, 41, (12, 2)).cumsum(axis=0)  # (12, 2)
        pen.line([tuple(point) for point in (start + steps).tolist()], "black", 3)
    return image


def screenshot(generator: np.random.Generator) -> Image.Image:
    """A window with a title bar, a menu, a list beside lines of text, and buttons."""
    dark = generator.random() < 0.4
    ground, ink = ("#1e1f26", "#e6e6e6") if dark else ("#f4f4f6", "#202020")
    image = Image.new("RGB", SIZE, ground)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, SIZE[0], 22), _colour(generator))
    for place, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        pen.ellipse((8 + 16 * place, 6, 18 + 16 * place, 16), colour)
    _write(pen, (8, 26, SIZE[0] - 8, 40), generator, 11, ink)
    side = int(generator.integers(70, 140))
    pen.line((side, 44, side, SIZE[1]), ink)
    _write(pen, (8, 50, side - 8, SIZE[1] - 10), generator, 11, ink)
    _write(pen, (side + 10, 50, SIZE[0] - 10, SIZE[1] - 50), generator, 12, ink)
    for place in range(generator.integers(1, 4)):
        left = SIZE[0] - 80 * (place + 1)
        pen.rounded_rectangle((left, 265, left + 70, 287), 5, _colour(generator))
        pen.text(
            (left + 12, 269), str(generator.choice(WORDS)), "white", ImageFont.load_default(11)
        )
    return image


def chart(generator: np.random.Generator) -> Image.Image:
    """A chart of bars, lines, points or shares."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((4, 3), dpi=100)
    axes = figure.subplots()
    values = generator.random((3, 8)) + 0.1
    kind = generator.integers(4)
    if kind == 0:
        axes.bar(range(8), values[0])
    elif kind == 1:
        axes.plot(values.T.cumsum(axis=0))
    elif kind == 2:
        axes.scatter(*generator.standard_normal((2, 60)))
    else:
        axes.pie(values[0])
    axes.set_title(" ".join(generator.choice(WORDS, 3)))
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file)
    return Image.open(file).convert("RGB")


def document(generator: np.random.Generator) -> Image.Image:
    """A page of printed text: a heading, paragraphs, sometimes the lines of a table."""
    image = Image.new("RGB", (300, 400), "white")
    pen = ImageDraw.Draw(image)
    _write(pen, (24, 20, 276, 44), generator, 20, "black")
    top = 60
    while top < 340:
        bottom = top + int(generator.integers(40, 120))
        if generator.random() < 0.25:
            for row in range(top, bottom, 14):
                pen.line((24, row, 276, row), "gray")
        _write(pen, (24, top, 276, min(bottom, 380)), generator, 9, "black")
        top = bottom + 12
    return image


def texture(generator: np.random.Generator) -> Image.Image:
    """Noise fine or coarse, in gray or colour; stripes; a chequered board; a gradient."""
    down, across = np.mgrid[0:200, 0:200] / 200  # (200, 200) each
    kind = generator.integers(4)
    if kind == 0:
        cells = int(generator.choice([4, 12, 40, 200]))
        channels = 1 if generator.random() < 0.5 else 3
        noise = generator.integers(0, 256, (cells, cells, channels)).repeat(3 // channels, axis=2)
        return Image.fromarray(noise.astype(np.uint8)).resize((200, 200))  # (200, 200, 3)
    angle, waves = generator.uniform(0, np.pi), generator.uniform(2, 30)
    along = down * np.cos(angle) + across * np.sin(angle)  # (200, 200)
    if kind == 1:
        shade = 0.5 + 0.5 * np.sin(2 * np.pi * waves * along)
    elif kind == 2:
        shade = ((down * waves).astype(int) + (across * waves).astype(int)) % 2
    else:
        shade = (along - along.min()) / np.ptp(along)
    first, second = generator.integers(0, 256, (2, 3))
    mixed = first + shade[..., None] * (second - first)  # (200, 200, 3)
    return Image.fromarray(mixed.astype(np.uint8))


KINDS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "rendered scenes": scene,
    "drawings": drawing,
    "screenshots": screenshot,
    "charts": chart,
    "documents": document,
    "textures": texture,
}


def draw(kind: str, count: int) -> list[Image.Image]:
    """So many pictures of a kind, RGB; the same each time."""
    generator = np.random.default_rng(sum(map(ord, kind)))
    return [KINDS[kind](generator) for _ in range(count)]


SCIKIT = """astronaut brick camera cat cell checkerboard clock coffee coins colorwheel grass gravel
horse hubble_deep_field immunohistochemistry logo microaneurysms moon page
retina rocket text""".split()  # noqa: SIM905  (a list of thirty words is less readable)
"""The pictures in scikit-image's wheel, by the names of their functions in `skimage.data`."""


def scikit_pictures() -> list[Image.Image]:
    """The pictures that come with scikit-image, RGB; none where it isn't installed."""
    try:
        from skimage import data
    except ImportError:
        return []
    arrays = [np.asarray(getattr(data, name)()) for name in SCIKIT]
    # Horse is of true and false.
    bytes_ = [255 * a.astype(np.uint8) if a.dtype == bool else a for a in arrays]
    return [Image.fromarray(array).convert("RGB") for array in bytes_]


def _box(generator: np.random.Generator) -> tuple[int, int, int, int]:
    """A box inside of a picture: left, top, right, bottom."""
    left, top = generator.integers(0, (SIZE[0] - 60, SIZE[1] - 60)).tolist()
    width, height = generator.integers(20, 200, 2).tolist()
    return left, top, min(left + width, SIZE[0] - 1), min(top + height, SIZE[1] - 1)


def _colour(generator: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = generator.integers(0, 256, 3).tolist()
    return red, green, blue


def _write(
    pen: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    generator: np.random.Generator,
    height: int,
    ink: str,
) -> None:
    """Fill a box with lines of words."""
    font = ImageFont.load_default(height)
    left, top, right, bottom = box
    for line in range(top, max(top + 1, bottom - height), int(height * 1.4)):
        text = ""
        while pen.textlength(text, font) < generator.uniform(0.6, 1) * (right - left - 30):
            text += f"{generator.choice(WORDS)} "
        while pen.textlength(text, font) > right - left:
            text = text[:-1]
        pen.text((left, line), text, ink, font)
