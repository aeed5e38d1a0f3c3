"""Pictures of words: how they become numbers, a batch as the model reads it, what may follow."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from captioning.pictures.figures import BLUE, INK, ORANGE, PALE

GREY = "#9a9a9a"


def draw_overview(photo: Image.Image, vector: np.ndarray, words: Sequence[str]) -> Figure:
    """From a photo to its next word: encoder, vector, decoder; the last word is the one to come.

    vector: (numbers,), drawn as a strip.
    """
    figure = Figure(figsize=(9.5, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(photo, extent=(0, 2, 0, 2), aspect="auto")
    axes.imshow(vector[:, None], extent=(4.25, 4.5, 0, 2), aspect="auto", cmap="Blues")
    for x, text in ((1, "photo"), (4.375, "vector"), (8.3, "words so far, and the next")):
        axes.text(x, -0.3, text, ha="center", va="center", fontsize=10, color=INK)
    for x, title, what in (
        (3.1, "encoder", "knows how\nto look"),
        (5.65, "decoder", "learns\nto speak"),
    ):
        axes.text(
            x,
            1,
            f"{title}\n{what}",
            ha="center",
            va="center",
            fontsize=10,
            color=INK,
            bbox={"boxstyle": "round,pad=0.5", "facecolor": PALE, "edgecolor": BLUE},
        )
    for start, end in ((2.05, 2.45), (3.75, 4.15), (4.6, 5), (6.3, 6.7)):
        _arrow(axes, (start, 1), (end, 1))
    for place, word in enumerate(words):
        row, column = divmod(place, 4)
        colour = ORANGE if place == len(words) - 1 else BLUE
        _cell(axes, 7.15 + 0.85 * column, 1.6 - 0.6 * row, word, colour, True)
    _arrow(axes, (6.75, 0.15), (6.1, 0.6), bend=-0.3)
    axes.set(xlim=(-0.1, 10.2), ylim=(-0.5, 2.1))
    axes.axis("off")
    return figure


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], bend: float = 0
) -> None:
    axes.annotate(
        "",
        end,
        start,
        arrowprops={
            "arrowstyle": "-|>",
            "color": INK,
            "connectionstyle": f"arc3,rad={bend}",
        },
    )


def draw_rows(rows: dict[str, Sequence[str]]) -> Figure:
    """Rows of cells, each made of the one above it: {name: cells}; an empty one is gone, grey."""
    steps = max(map(len, rows.values()))
    figure = Figure(figsize=(1.3 * steps + 0.8, 0.5 * len(rows) + 0.15), layout="constrained")
    axes = figure.subplots()
    for place, (name, cells) in enumerate(rows.items()):
        colour = ORANGE if place else BLUE
        axes.text(-0.6, -place, name, ha="right", va="center", fontsize=10, color=colour)
        for step, text in enumerate(cells):
            _cell(axes, step, -place, text or "gone", colour if text else GREY, bool(text), 18)
    axes.set(xlim=(-1, steps - 0.4), ylim=(0.5 - len(rows), 0.5))
    axes.axis("off")
    return figure


def draw_samples(
    names: Sequence[str], vectors: np.ndarray, captions: Sequence[np.ndarray]
) -> Figure:
    """What training reads: each photo's vector as a strip, and its caption's numbers.

    vectors: (photos, numbers); captions: int (words,) of each photo.
    """
    figure = Figure(figsize=(9.5, 0.42 * len(names) + 0.35), layout="constrained")
    grid = figure.subplots(len(names), 2, squeeze=False, width_ratios=[3, 2])
    for (left, right), name, vector, tokens in zip(grid, names, vectors, captions, strict=True):
        left.imshow(vector[None], aspect="auto", cmap="Blues")
        left.set(xticks=[], yticks=[])
        left.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9, color=INK)
        right.text(0, 0.5, " ".join(map(str, tokens)), va="center", fontsize=10, color=ORANGE)
        right.axis("off")
    grid[0, 0].set_title("the photo's vector", fontsize=10, color=BLUE, loc="left")
    grid[0, 1].set_title("its caption", fontsize=10, color=ORANGE, loc="left")
    return figure


def draw_batch(
    inputs: np.ndarray, targets: np.ndarray, weights: np.ndarray, shown: Callable[[int], str]
) -> Figure:
    """Captions as they go in (blue) and the words that should come out (orange), padding grey.

    inputs, targets: int (captions, steps); weights: (captions, steps), 0 where nothing counts;
    shown: a number's word.
    """
    captions, steps = inputs.shape
    figure = Figure(figsize=(1.05 * steps + 0.6, 0.95 * captions + 0.2), layout="constrained")
    axes = figure.subplots()
    for caption in range(captions):
        for label, row, height, colour in (
            ("in", inputs[caption], 0.22, BLUE),
            ("out", targets[caption], -0.22, ORANGE),
        ):
            y = height - caption * 1.15
            axes.text(-0.62, y, label, ha="right", va="center", fontsize=9, color=colour)
            for step, token in enumerate(row):
                counts = weights[caption, step] > 0
                _cell(axes, step, y, shown(int(token)), colour if counts else GREY, counts)
    axes.set(xlim=(-0.9, steps - 0.4), ylim=(-1.15 * captions + 0.6, 0.55))
    axes.axis("off")
    return figure


def _cell(
    axes: Axes, x: float, y: float, text: str, colour: str, counts: bool, longest: int = 11
) -> None:
    axes.text(
        x,
        y,
        text[:longest],
        ha="center",
        va="center",
        fontsize=8.5,
        color=colour,
        bbox={
            "boxstyle": "round,pad=0.3",
            "facecolor": PALE if counts else "#f2f2f2",
            "edgecolor": colour,
            "linewidth": 0.8,
        },
    )


def draw_likely(
    said: Sequence[str],
    log_probabilities: Sequence[np.ndarray],
    shown: Callable[[int], str],
    count: int = 5,
) -> Figure:
    """For each word that goes in, bars of the `count` likeliest words to follow.

    said: the words that went in, one a step; log_probabilities: (vocabulary,) of each step.
    """
    columns = min(4, len(said))
    rows = -(-len(said) // columns)
    figure = Figure(figsize=(2.9 * columns, 0.3 * (count + 3) * rows), layout="constrained")
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in places[len(said) :]:
        axes.axis("off")
    for axes, word, logs in zip(places, said, log_probabilities, strict=False):
        best = np.argsort(-logs)[:count]
        shares = np.exp(logs[best])
        axes.barh(range(count), shares, color=[ORANGE] + [BLUE] * (count - 1))
        axes.set_yticks(range(count), [shown(int(token))[:13] for token in best], fontsize=9)
        for place, share in enumerate(shares):
            axes.text(
                min(share, 0.78) + 0.02,
                place,
                f"{share:.0%}",
                va="center",
                fontsize=8,
                color=INK if share < 0.78 else "white",
            )
        axes.set(xlim=(0, 1), xticks=[])
        axes.invert_yaxis()
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.set_title(f"after “{word}”", fontsize=10, color=INK, loc="left")
    return figure
