"""The layers of a Keras model as boxes with arrows."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from captioning.pictures.figures import BLUE, INK, PALE


def draw_model(model: Any) -> Figure:
    """The layers of a functional Keras model from top to bottom, without Graphviz.

    Each box has the layer's name and class, the shape of its output, and its parameters.
    """
    parents = {layer.name: _parents(layer, model) for layer in model.layers}
    depths = _depths(model, parents)
    places, columns = _places(model.layers, depths, parents)
    rows = max(depths.values()) + 1
    labels = {layer.name: _label(layer) for layer in model.layers}
    longest = max(len(line) for label in labels.values() for line in label.split("\n"))
    # No wider than the longest line needs: the figure is scaled down to a phone's width, and
    # every inch makes the letters smaller.
    width = 0.085 * longest + 0.5
    figure = Figure(figsize=(width * columns, 1.15 * rows), layout="constrained")
    axes = figure.subplots()
    for name, place in places.items():
        for parent in parents[name]:
            _draw_arrow(axes, places[parent], place)
        _draw_box(axes, place, labels[name])
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(-rows + 0.4, 0.6))
    axes.axis("off")
    return figure


def _parents(layer: Any, model: Any) -> list[str]:
    """The names of the layers whose outputs a layer reads."""
    names = {other.name for other in model.layers}
    node = layer._inbound_nodes[0]  # Keras has no public way to the graph of a functional model
    return [n.operation.name for n in node.parent_nodes if n.operation.name in names]


def _depths(model: Any, parents: dict[str, list[str]]) -> dict[str, int]:
    """The row of each layer, by name, 0 at the top."""
    depths: dict[str, int] = {}
    for layer in model.layers:  # Keras lists parents before children
        above = [depths[name] for name in parents[layer.name]]
        depths[layer.name] = 1 + max(above, default=-1)
    # Then from below: an input, say, moves down to right above the first layer that reads it.
    for layer in reversed(model.layers):
        children = [depths[name] for name, above in parents.items() if layer.name in above]
        if children:
            depths[layer.name] = min(children) - 1
    return depths


def _places(
    layers: list[Any], depths: dict[str, int], parents: dict[str, list[str]]
) -> tuple[dict[str, tuple[float, float]], int]:
    """The centre of each box, by the layer's name, and the number of columns.

    An input opens a column of its own; any other layer stands below its rightmost parent. So the
    photo's layers are on the left, and the caption's, with all after the two meet, on the right.
    """
    places: dict[str, tuple[float, float]] = {}
    columns = 0
    for layer in layers:
        above = parents[layer.name]
        if above:
            x = max(places[name][0] for name in above)
        else:
            x, columns = float(columns), columns + 1
        places[layer.name] = (x, -float(depths[layer.name]))
    return places, columns


def _draw_arrow(axes: Axes, above: tuple[float, float], below: tuple[float, float]) -> None:
    """An arrow from one box to another; in a curve where other boxes stand between."""
    is_past_others = above[0] == below[0] and above[1] - below[1] > 1
    axes.annotate(
        "",
        (below[0], below[1] + 0.34),
        (above[0], above[1] - 0.34),
        arrowprops={
            "arrowstyle": "-|>",
            "color": INK,
            "linewidth": 1,
            "connectionstyle": f"arc3,rad={1.9 if is_past_others else 0}",
        },
    )


def _draw_box(axes: Axes, place: tuple[float, float], label: str) -> None:
    axes.text(
        *place,
        label,
        ha="center",
        va="center",
        fontsize=10,
        color=INK,
        bbox={"boxstyle": "round,pad=0.45", "facecolor": PALE, "edgecolor": BLUE},
    )


def _label(layer: Any) -> str:
    outputs = layer.output if isinstance(layer.output, (list, tuple)) else [layer.output]
    shape = outputs[0].shape
    # The dimensions that vary: (batch, steps, ...), or (batch, captions of a photo, steps, ...).
    names = iter(("captions", "steps") if shape[1:3] == (None, None) else ("steps",))
    numbers = " × ".join(next(names) if n is None else str(n) for n in shape[1:])
    parameters = layer.count_params()
    tail = f"\n{parameters:,} parameters" if parameters else ""
    return f"{layer.name}\n{type(layer).__name__}: {numbers}{tail}"
