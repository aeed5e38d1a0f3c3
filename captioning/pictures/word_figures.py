"""Figures that explain the model to learners, for the notebook: words, batches, next words."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from captioning.pictures.figures import BLUE, GREY, INK, ORANGE, PALE

CELL_LETTERS = 11
"""As many letters fit into a cell of a batch."""


def draw_overview(photo: Image.Image, vector: np.ndarray, words: Sequence[str]) -> Figure:
    """The path from a photo to the next word: encoder, vector, decoder.

    vector: (numbers,), drawn as a strip; words: the caption so far and, last, the next word.
    """
    figure = Figure(figsize=(9.5, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(photo, extent=(0, 2, 0, 2), aspect="auto")
    axes.imshow(vector[:, None], extent=(4.25, 4.5, 0, 2), aspect="auto", cmap="Blues")
    for x, text in ((1, "photo"), (4.375, "vector"), (8.3, "words so far, and the next")):
        axes.text(x, -0.3, text, ha="center", va="center", fontsize=10, color=INK)
    for x, title, what in (
        (3.1, "encoder", "weights\nfrozen"),
        (5.65, "decoder", "weights\ntrained"),
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
        row, column = divmod(place, 4)  # four words a line
        colour = ORANGE if place == len(words) - 1 else BLUE
        _draw_cell(axes, (7.15 + 0.85 * column, 1.6 - 0.6 * row), word[:CELL_LETTERS], colour)
    _arrow(axes, (6.75, 0.15), (6.1, 0.6), bend=-0.3)  # the words so far, back to the decoder
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
    """Rows of cells, each made from the row above: {name: cells}; removed cells are "", grey."""
    steps = max(map(len, rows.values()))
    figure = Figure(figsize=(1.3 * steps + 0.8, 0.5 * len(rows) + 0.15), layout="constrained")
    axes = figure.subplots()
    for place, (name, cells) in enumerate(rows.items()):
        colour = ORANGE if place else BLUE
        axes.text(-0.6, -place, name, ha="right", va="center", fontsize=10, color=colour)
        for step, text in enumerate(cells):
            _draw_cell(axes, (step, -place), text[:18] or "gone", colour if text else GREY)
    axes.set(xlim=(-1, steps - 0.4), ylim=(0.5 - len(rows), 0.5))
    axes.axis("off")
    return figure


def draw_samples(
    names: Sequence[str], vectors: np.ndarray, captions: Sequence[np.ndarray]
) -> Figure:
    """Training samples: each photo's vector as a strip, and its caption as token numbers.

    vectors: (photos, D); captions: for each photo int (words,).
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
    """A batch: the decoder's inputs (blue) above their targets (orange), padding in grey.

    inputs, targets: int (captions, steps); weights: (captions, steps), 0 at padding; shown: the
    word of a token number.
    """
    # In the units of the axes a step is 1 wide and a caption, two rows of cells, 1.15 high.
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
                text = shown(int(token))[:CELL_LETTERS]
                _draw_cell(axes, (step, y), text, colour if weights[caption, step] > 0 else GREY)
    axes.set(xlim=(-0.9, steps - 0.4), ylim=(-1.15 * captions + 0.6, 0.55))
    axes.axis("off")
    return figure


def _draw_cell(axes: Axes, place: tuple[float, float], text: str, colour: str) -> None:
    axes.text(
        *place,
        text,
        ha="center",
        va="center",
        fontsize=8.5,
        color=colour,
        bbox={
            "boxstyle": "round,pad=0.3",
            "facecolor": PALE if colour != GREY else "#f2f2f2",
            "edgecolor": colour,
            "linewidth": 0.8,
        },
    )


def draw_next_words(
    words: Sequence[str],
    log_probabilities: Sequence[np.ndarray],
    shown: Callable[[int], str],
    count: int = 5,
) -> Figure:
    """For each step, bars of the `count` most probable next words.

    words: the decoder's inputs, one a step; log_probabilities: for each step (vocabulary,);
    shown: the word of a token number.
    """
    columns = min(4, len(words))  # more would be too narrow for a phone
    rows = -(-len(words) // columns)
    figure = Figure(figsize=(2.9 * columns, 0.3 * (count + 3) * rows), layout="constrained")
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in places[len(words) :]:
        axes.axis("off")
    # The places that stay empty have no step: not strict.
    for axes, word, row in zip(places, words, log_probabilities, strict=False):
        best = np.argsort(-row)[:count]
        probabilities = np.exp(row[best])
        axes.barh(range(count), probabilities, color=[ORANGE] + [BLUE] * (count - 1))
        axes.set_yticks(range(count), [shown(int(token))[:13] for token in best], fontsize=9)
        for place, probability in enumerate(probabilities):
            # Right of the bar, or inside a bar that leaves no room.
            axes.text(
                min(probability, 0.78) + 0.02,
                place,
                f"{probability:.0%}",
                va="center",
                fontsize=8,
                color=INK if probability < 0.78 else "white",
            )
        axes.set(xlim=(0, 1), xticks=[])
        axes.invert_yaxis()
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.set_title(f"after “{word}”", fontsize=10, color=INK, loc="left")
    return figure
