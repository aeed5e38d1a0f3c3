"""Pictures of words: a batch as the model reads it, and the likeliest words at each step."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from captioning.pictures import BLUE, INK, ORANGE, PALE

GREY = "#9a9a9a"


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
            ("in", inputs[caption], 0.22, BLUE), ("out", targets[caption], -0.22, ORANGE),
        ):
            y = height - caption * 1.15
            axes.text(-0.62, y, label, ha="right", va="center", fontsize=9, color=colour)
            for step, token in enumerate(row):
                counts = weights[caption, step] > 0
                _cell(axes, step, y, shown(int(token)), colour if counts else GREY, counts)
    axes.set(xlim=(-0.9, steps - 0.4), ylim=(-1.15 * captions + 0.6, 0.55))
    axes.axis("off")
    return figure


def _cell(axes: Axes, x: float, y: float, text: str, colour: str, counts: bool) -> None:
    axes.text(
        x, y, text[:11], ha="center", va="center", fontsize=8.5, color=colour,
        bbox={"boxstyle": "round,pad=0.3", "facecolor": PALE if counts else "#f2f2f2",
              "edgecolor": colour, "linewidth": 0.8},
    )


def draw_likely(
    said: Sequence[str], log_probabilities: Sequence[np.ndarray], shown: Callable[[int], str],
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
            axes.text(min(share, 0.78) + 0.02, place, f"{share:.0%}", va="center", fontsize=8,
                      color=INK if share < 0.78 else "white")
        axes.set(xlim=(0, 1), xticks=[])
        axes.invert_yaxis()
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.set_title(f"after “{word}”", fontsize=10, color=INK, loc="left")
    return figure
