"""The curves of a training, epoch by epoch."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from captioning.pictures.figures import BLUE, GREY, INK, ORANGE

FEW_CIDER = "few_dev_CIDEr"
"""The column of `history.csv` that is drawn on an axis of its own; older files lack it."""


def draw_curves(
    history: list[dict[str, float]],
    before: Sequence[dict[str, float]] = (),
    size: tuple[float, float] = (7, 4),
) -> Figure:
    """The curves of a training over its epochs, with the best epoch marked.

    The loss on train and dev, with the CIDEr of a few dev photos, where it is known, on the right
    axis; of a fine-tuning, the reward of the samples and the CIDEr on dev.
    history: as `read_history` gives it; before: that of the model which the training started
    from, drawn on the left; size: inches of the figure, without one of `before`.
    """
    trainings = [list(before), history] if before else [history]
    size = size if len(trainings) == 1 else (11, 4)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(1, len(trainings), squeeze=False)
    for axes, own in zip(grid.flat, trainings, strict=True):
        _draw_training(axes, own, legend_columns=3 if size[0] / len(trainings) > 6 else 1)
    return figure


def _draw_training(axes: Axes, history: list[dict[str, float]], legend_columns: int) -> None:
    finetuned = "reward" in history[0]
    on_train, on_dev = ("reward", "dev_CIDEr") if finetuned else ("loss", "dev_loss")
    best = (max if finetuned else min)(history, key=lambda row: row[on_dev])
    epochs = [row["epoch"] for row in history]
    label = "train, reward of samples" if finetuned else "train"
    axes.plot(epochs, [row[on_train] for row in history], "o-", color=BLUE, label=label)
    label = f"dev, best {best[on_dev]:.{1 if finetuned else 3}f} in epoch {best['epoch']}"
    axes.plot(epochs, [row[on_dev] for row in history], "s-", color=ORANGE, label=label)
    axes.axvline(best["epoch"], color=INK, linestyle=":", linewidth=1)
    measure = "CIDEr-D with end tokens" if finetuned else "cross-entropy a word (nats)"
    axes.set(xlabel="epoch", ylabel=measure, title="Fine-tuning" if finetuned else "Training")
    axes.locator_params(axis="x", integer=True)  # no epoch 2.5
    if len(epochs) == 1:
        axes.set_xticks(epochs)  # nor epoch 1.02
    axes.margins(y=0.15)
    axes.grid(alpha=0.3)
    lines = [*axes.lines[:2], *_draw_cider(axes, history)]
    # Below: where the lines of two axes leave room, Matplotlib doesn't know.
    axes.legend(
        handles=lines,
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        borderaxespad=3.4,  # letters' heights, below the epochs and their name
        ncols=legend_columns,
    )


def _draw_cider(axes: Axes, history: list[dict[str, float]]) -> list[Line2D]:
    """The CIDEr of a few photos of dev, on an axis of its own; no line where it isn't known."""
    scored = [row for row in history if FEW_CIDER in row]
    if not scored:
        return []
    right = axes.twinx()
    right.set_ylabel("CIDEr-D of a few dev photos")
    epochs, scores = [row["epoch"] for row in scored], [row[FEW_CIDER] for row in scored]
    return right.plot(epochs, scores, "^--", color=GREY, label=f"CIDEr, last {scores[-1]:.1f}")
