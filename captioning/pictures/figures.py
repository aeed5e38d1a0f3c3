"""Pictures for people: the curves of a training, a model's layers, a sheet of captions."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image, ImageOps

from captioning.files.whole import written_whole

INK, BLUE, ORANGE, PALE = "#222222", "#1f5fa8", "#c4580a", "#e8eef6"


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with written_whole(path) as beside:
        figure.savefig(beside, dpi=120, facecolor="white")


def draw_curves(history: list[dict[str, float]]) -> Figure:
    """The curves of a training by epoch, the best epoch marked.

    The loss on train and dev; of a fine-tuning, the samples' reward and dev's CIDEr.
    """
    finetuned = "reward" in history[0]
    ours, devs = ("reward", "dev_CIDEr") if finetuned else ("loss", "dev_loss")
    best = (max if finetuned else min)(history, key=lambda row: row[devs])
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    epochs = [row["epoch"] for row in history]
    label = "train, sampled captions" if finetuned else "train"
    axes.plot(epochs, [row[ours] for row in history], "o-", color=BLUE, label=label)
    label = f"dev, best {best[devs]:.{1 if finetuned else 3}f} in epoch {best['epoch']}"
    axes.plot(epochs, [row[devs] for row in history], "s-", color=ORANGE, label=label)
    axes.axvline(best["epoch"], color=INK, linestyle=":", linewidth=1)
    what = "CIDEr-D, ends counted" if finetuned else "cross-entropy a word (nats)"
    axes.set(xlabel="epoch", ylabel=what, title="Fine-tuning" if finetuned else "Training")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.margins(y=0.15)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def draw_model(model: Any) -> Figure:
    """The layers of a functional Keras model from top to bottom, without Graphviz.

    Each box has the layer's name and kind, the shape that leaves it, and its parameters.
    """
    parents = {layer.name: _parents(layer, model) for layer in model.layers}
    depth: dict[str, int] = {}
    for layer in model.layers:  # Keras lists parents before children
        depth[layer.name] = 1 + max((depth[name] for name in parents[layer.name]), default=-1)
    for layer in reversed(model.layers):  # let inputs stand right above what reads them
        readers = [depth[name] for name, above in parents.items() if layer.name in above]
        if readers:
            depth[layer.name] = min(readers) - 1
    places, columns = _place(model.layers, depth, parents)
    rows = max(depth.values()) + 1
    labels = {layer.name: _label(layer) for layer in model.layers}
    longest = max(len(line) for label in labels.values() for line in label.split("\n"))
    wide = 0.085 * longest + 0.5  # no wider than need be: letters stay legible on a phone
    figure = Figure(figsize=(wide * columns, 1.15 * rows), layout="constrained")
    axes = figure.subplots()
    for layer in model.layers:
        x, y = places[layer.name]
        for name in parents[layer.name]:
            above_x, above_y = places[name]
            around = above_x == x and above_y - y > 1  # past the boxes between
            axes.annotate(
                "",
                (x, y + 0.34),
                (above_x, above_y - 0.34),
                arrowprops={
                    "arrowstyle": "-|>",
                    "color": INK,
                    "linewidth": 1,
                    "connectionstyle": f"arc3,rad={1.9 if around else 0}",
                },
            )
        axes.text(
            x,
            y,
            labels[layer.name],
            ha="center",
            va="center",
            fontsize=10,
            color=INK,
            bbox={"boxstyle": "round,pad=0.45", "facecolor": PALE, "edgecolor": BLUE},
        )
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(-rows + 0.4, 0.6))
    axes.axis("off")
    return figure


def _parents(layer: Any, model: Any) -> list[str]:
    names = {other.name for other in model.layers}
    node = layer._inbound_nodes[0]
    return [n.operation.name for n in node.parent_nodes if n.operation.name in names]


def _place(
    layers: list[Any], depth: dict[str, int], parents: dict[str, list[str]]
) -> tuple[dict[str, tuple[float, float]], int]:
    """Where each box goes: a layer stays below its rightmost parent, the caption's side."""
    places: dict[str, tuple[float, float]] = {}
    columns = 0
    for layer in layers:
        above = parents[layer.name]
        if above:
            x = max(places[name][0] for name in above)
        else:
            x, columns = float(columns), columns + 1
        places[layer.name] = (x, -float(depth[layer.name]))
    return places, columns


def _label(layer: Any) -> str:
    outputs = layer.output if isinstance(layer.output, (list, tuple)) else [layer.output]
    shape = outputs[0].shape
    names = iter(("captions", "steps") if shape[1:3] == (None, None) else ("steps",))
    numbers = " × ".join(next(names) if n is None else str(n) for n in shape[1:])
    parameters = layer.count_params()
    tail = f"\n{parameters:,} parameters" if parameters else ""
    return f"{layer.name}\n{type(layer).__name__}: {numbers}{tail}"


def contact_sheet(
    photos: Sequence[Image.Image], captions: Sequence[str], columns: int = 4, marks: str = ""
) -> Figure:
    """Photos with their captions below, in letters that stay legible on a phone.

    marks: a letter a photo, "x" draws its caption red.
    """
    rows = -(-len(photos) // columns)
    lines = [textwrap.wrap(caption, 25) for caption in captions]
    high = 2.9 + 0.26 * max(map(len, lines), default=1)
    figure = Figure(figsize=(2.9 * columns, high * rows), layout="constrained")
    for place, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        if place < len(photos):
            photo = photos[place].convert("RGB")  # a wide one stands right above its caption
            axes.imshow(ImageOps.pad(photo, (300, 300), color="white", centering=(0.5, 1)))
            wrong = marks[place : place + 1] == "x"
            text = "\n".join(lines[place])
            axes.set_xlabel(text, fontsize=14, color="#b00020" if wrong else INK)
    return figure
