"""Charts of the report, as SVG inside the page that takes its colours, light or dark."""

import html
import io
import re
from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure

from captioning.evaluation.calibration import Bin
from captioning.pictures.figures import BLUE, GREY, INK, ORANGE

COLOURS = {
    INK: "var(--ink)",
    "#000000": "var(--ink)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    GREY: "var(--quiet)",
    "#b0b0b0": "var(--line)",
    "#cccccc": "var(--line)",
}
"""Matplotlib's colours and ours, and the variables of the page's style that replace them."""


SIZE = (4.6, 3.2)
"""Inches of a chart: about a phone's width, so that the letters stay legible there."""


def figure_to_svg(figure: Figure, name: str, label: str) -> str:
    """The figure as an SVG element. name: unique in the page; label: for screen readers."""
    file = io.StringIO()
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # the same page each time
    with matplotlib.rc_context({"svg.fonttype": "none"}):  # letters as text, in the page's font
        figure.savefig(file, format="svg", transparent=True, metadata=no_metadata)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    for colour, variable in COLOURS.items():
        svg = svg.replace(colour, variable)
    # Matplotlib numbers the ids of each figure alike; in one page they must differ.
    svg = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    # Without a size of its own, the chart is as wide as its place in the page.
    width_and_height = re.compile(r' width="[\d.]+pt"| height="[\d.]+pt"')
    head, rest = svg.split(">", 1)
    head = width_and_height.sub("", head)
    return f'{head} role="img" aria-label="{html.escape(label)}">{rest}'


def draw_calibration(bins: Sequence[Bin]) -> Figure:
    """Mean CIDEr of each bin of captions against the model's confidence in them."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    scores = [one.score for one in bins]
    # Matplotlib wants the distances from the value, all the lower ones first.
    spread = [[one.score - one.low for one in bins], [one.high - one.score for one in bins]]
    confidence = [100 * one.confidence for one in bins]
    axes.errorbar(confidence, scores, spread, fmt="o-", color=BLUE, capsize=3)
    axes.set(xlabel="confidence: mean probability of a word (%)", ylabel="CIDEr")
    axes.set_ylim(0, max(1, axes.get_ylim()[1]))  # all are 0 where no caption shares a word
    axes.grid(alpha=0.3)
    return figure


def draw_scores(scores: dict[str, dict], others: Sequence[tuple[str, dict[str, float]]]) -> Figure:
    """Each score with its interval, and marks for others' scores.

    scores: as in `scores.json`; others: (name, {score: value}) of each, not all with all scores.
    """
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    names = list(scores)
    values = [scores[name]["value"] for name in names]
    ends = [scores[name]["interval"] for name in names]
    spread = [
        [v - low for v, (low, _) in zip(values, ends, strict=True)],
        [high - v for v, (_, high) in zip(values, ends, strict=True)],
    ]
    rows = range(len(names))
    axes.errorbar(values, rows, xerr=spread, fmt="o", color=BLUE, capsize=3, label="this model")
    for (label, theirs), marker in zip(others, "xD+^*", strict=False):  # there are fewer
        known = [(theirs[name], row) for row, name in enumerate(names) if name in theirs]
        if known:
            axes.plot(
                *zip(*known, strict=True),
                marker,
                color=ORANGE,
                label=label,
                markersize=7,
                fillstyle="none",
            )
    axes.set_yticks(list(rows), names)
    axes.invert_yaxis()
    axes.set_xlim(0, max(1, axes.get_xlim()[1]))  # all are 0 where no caption shares a word
    axes.grid(alpha=0.3, axis="x")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure
