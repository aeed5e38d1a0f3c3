"""The layers of a Keras model as boxes with arrows."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from captioning.pictures.figures import BLUE, INK, PALE

LETTER, LINE, PADDING = 0.083, 0.18, 0.1
"""Inches of a letter of 10 points, of a line of text, and between a box and its text."""

ROW, GAP = 1.0, 0.45
"""Inches from one row to the next, and between two columns of boxes."""


def draw_model(model: Any) -> Figure:
    """The layers of a functional Keras model from top to bottom, without Graphviz.

    Each box has the layer's name and class, the shape of its output, and its parameters. A layer
    that is called twice, as the transformer's embedding, has two boxes.
    """
    # A node is one call of a layer. Keras has no public way to the graph of a functional model.
    nodes = [node for _, row in sorted(model._nodes_by_depth.items(), reverse=True) for node in row]
    parents = {node: [n for n in node.parent_nodes if n in nodes] for node in nodes}
    depths = _depths(parents)
    first = {node.operation: node for node in reversed(nodes)}  # the first call of each layer
    labels = {n: _label(n, first[n.operation] is not n, n is nodes[-1]) for n in nodes}
    # No wider than the longest line needs: the figure is scaled down to a phone's width, and
    # every inch makes the letters smaller.
    width = LETTER * max(len(line) for label in labels.values() for line in label.split("\n"))
    column = width + 2 * PADDING + GAP
    columns, places = _places(parents, depths)
    size = (column * columns, ROW * (max(depths.values()) + 1))
    figure = Figure(figsize=size)
    axes = figure.add_axes((0, 0, 1, 1))  # all of it: a unit of the axes is an inch
    axes.set(xlim=(0, size[0]), ylim=(-size[1], 0))
    axes.axis("off")
    centres = {n: ((x + 0.5) * column, -(y + 0.5) * ROW) for n, (x, y) in places.items()}
    heights = {n: LINE * len(label.split("\n")) + 2 * PADDING for n, label in labels.items()}
    for node, centre in centres.items():
        box = (width + 2 * PADDING, heights[node])
        _draw_box(axes, centre, box, labels[node])
        for parent in parents[node]:
            _draw_arrow(axes, centres[parent], heights[parent], centre, box)
    return figure


def _depths(parents: dict[Any, list[Any]]) -> dict[Any, int]:
    """The row of each node, 0 at the top. parents: of each node, which come before it."""
    depths: dict[Any, int] = {}
    for node, above in parents.items():
        depths[node] = 1 + max((depths[parent] for parent in above), default=-1)
    # Then from below: an input, say, moves down to right above the first layer that reads it.
    for node in reversed(parents):
        children = [depths[other] for other, above in parents.items() if node in above]
        if children:
            depths[node] = min(children) - 1
    return depths


def _places(
    parents: dict[Any, list[Any]], depths: dict[Any, int]
) -> tuple[int, dict[Any, tuple[int, int]]]:
    """The number of columns, and the column and row of each node.

    An input opens a column of its own; any other layer stands below its rightmost parent. So the
    photo's layers are on the left, and the caption's, with all after the two meet, on the right.
    """
    places: dict[Any, tuple[int, int]] = {}
    inputs = [node for node, above in parents.items() if not above]
    # The caption's input last, so that its column is the rightmost.
    inputs.sort(key=lambda node: node.operation.name == "words")
    for node, above in parents.items():
        column = max(places[parent][0] for parent in above) if above else inputs.index(node)
        places[node] = (column, depths[node])
    return len(inputs), places


def _draw_arrow(
    axes: Axes,
    above: tuple[float, float],
    height: float,
    below: tuple[float, float],
    box: tuple[float, float],
) -> None:
    """An arrow from one box to another; around the boxes between them, where there are some.

    above, below: centres; height: of the box above; box: width and height of the one below.
    """
    start, end = (above[0], above[1] - height / 2), (below[0], below[1] + box[1] / 2)
    bend = 0.0
    if above[0] == below[0] and above[1] - below[1] > 1.5 * ROW:
        left = above[0] - box[0] / 2
        start, end = (left, above[1]), (left, below[1])
        # A curve's control point lies `bend` times its length aside, the curve half as far.
        bend = 1.6 * GAP / 2 / (above[1] - below[1])
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=11,
            shrinkA=0,
            shrinkB=0,
            color=INK,
            linewidth=1,
            connectionstyle=f"arc3,rad={bend}",
        )
    )


def _draw_box(
    axes: Axes, centre: tuple[float, float], box: tuple[float, float], label: str
) -> None:
    left, bottom = centre[0] - box[0] / 2, centre[1] - box[1] / 2
    style = "round,pad=0,rounding_size=0.06"
    axes.add_patch(
        FancyBboxPatch((left, bottom), *box, boxstyle=style, facecolor=PALE, edgecolor=BLUE)
    )
    axes.text(*centre, label, ha="center", va="center", fontsize=10, color=INK)


def _label(node: Any, is_again: bool, is_last: bool) -> str:
    """The text of a node's box.

    is_again: the layer has a box already; is_last: the model's answer comes out of it.
    """
    layer = node.operation
    name = f"{layer.name}, again" if is_again else layer.name
    if is_last and layer.name != "next_word":
        name = f"next word: {name}"
    shape = node.outputs[0].shape
    # The dimensions that vary: (batch, steps, ...), or (batch, captions of a photo, steps, ...).
    names = iter(("captions", "steps") if shape[1:3] == (None, None) else ("steps",))
    numbers = " × ".join(next(names) if n is None else str(n) for n in shape[1:])
    parameters = 0 if is_again else layer.count_params()
    tail = f"\n{parameters:,} parameters" if parameters else ""
    return f"{name}\n{type(layer).__name__}: {numbers}{tail}"
