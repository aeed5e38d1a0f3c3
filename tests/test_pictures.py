"""Figures: letters are large enough for a phone, and nothing overlaps."""

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from PIL import Image

from captioning.decoders.build import Architecture, build_decoder
from captioning.evaluation.charts import SIZE
from captioning.pictures.attention_figure import draw_attention_maps
from captioning.pictures.contact_sheet import contact_sheet
from captioning.pictures.curves import draw_curves
from captioning.pictures.model_figure import draw_model

PHONE = 328
"""Pixels of a README's picture on a phone that is 360 wide."""


def letters(figure: Figure, size: float) -> float:
    """Pixels of letters of `size` points when the figure is as wide as a phone shows it."""
    return size * PHONE / (72 * figure.get_figwidth())


@pytest.mark.parametrize("columns", [1, 3, 4])
@pytest.mark.parametrize("words", [1, 12, 40])
def test_captions_on_a_sheet_are_legible_on_a_phone(columns: int, words: int) -> None:
    photos = [Image.new("RGB", (60, 40))] * 5
    words_of_one = (
        "the grass with a red star and a red house and a purple kite on it " * 3
    ).split()
    captions = ["a dog", *[" ".join(words_of_one[:words])] * 4]
    figure = contact_sheet(photos, captions, columns, marks="?x?")
    figure.draw_without_rendering()
    labels = [axes.xaxis.label for axes in figure.axes if axes.images]
    if columns <= 3:
        assert all(letters(figure, label.get_fontsize()) > 7 for label in labels)
    boxes = [label.get_window_extent() for label in labels]
    pictures = [axes.get_window_extent() for axes in figure.axes if axes.images]
    others = [*boxes, *pictures]
    for box in boxes:
        assert sum(box.overlaps(other) for other in others) == 1, "overlaps"
    for box in others:
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width, "cut at a side"
        assert 0 <= box.y0 < box.y1 <= figure.bbox.height, "cut at the top or the bottom"


def test_words_over_tiles_are_legible_on_a_phone() -> None:
    photo = Image.new("RGB", (80, 60))
    figure = draw_attention_maps(photo, ["skateboarding"] * 9, np.ones((9, 4, 4)))
    figure.draw_without_rendering()
    titles = [axes.title for axes in figure.axes if axes.get_title()]
    assert all(letters(figure, title.get_fontsize()) > 8 for title in titles)
    boxes = [title.get_window_extent() for title in titles]
    for box in boxes:
        assert sum(box.overlaps(other) for other in boxes) == 1, "overlaps"


@pytest.mark.parametrize("name", ["short", "a_layer_with_quite_a_long_name"])
def test_boxes_of_layers_leave_room_for_each_other(name: str) -> None:
    one, two = keras.Input((7,)), keras.Input((7,))
    left = keras.layers.Dense(1_000, name=name)(one)
    right = keras.layers.LayerNormalization()(keras.layers.Dense(1_000)(two))
    model = keras.Model([one, two], keras.layers.Add()([left, right]))
    figure = draw_model(model)
    figure.draw_without_rendering()
    patches = figure.axes[0].patches
    boxes = [p.get_window_extent() for p in patches if isinstance(p, FancyBboxPatch)]
    assert len(boxes) == len(model.layers)
    for box, text in zip(boxes, figure.axes[0].texts, strict=True):
        own = text.get_window_extent()
        assert box.x0 < own.x0 and own.x1 < box.x1 and box.y0 < own.y0 and own.y1 < box.y1
    for box in boxes:
        assert sum(box.overlaps(other) for other in boxes) == 1, "overlaps"
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width


@pytest.mark.parametrize(
    ("decoder", "last"),
    [("merge", "next_word"), ("transformer", "next word: embedding, again")],
)
def test_arrows_touch_their_boxes_and_the_next_word_is_last(decoder: str, last: str) -> None:
    shape = (32,) if decoder == "merge" else (9, 32)
    figure = draw_model(build_decoder(Architecture(decoder, 24, 0.1, 2), shape, 50, 12))
    axes = figure.axes[0]
    boxes = [p for p in axes.patches if isinstance(p, FancyBboxPatch)]
    arrows = [p for p in axes.patches if isinstance(p, FancyArrowPatch)]
    names = [text.get_text().split("\n")[0] for text in axes.texts]
    assert names[-1] == last and boxes[-1].get_y() == min(box.get_y() for box in boxes)
    assert len(arrows) >= len(boxes) - 1
    for arrow in arrows:
        # The path without its head, in the axes' inches.
        curve = arrow.get_path().vertices
        for x, y in (curve[0], arrow._posA_posB[1]):
            assert any(_is_on_edge(box, x, y) for box in boxes), names


def _is_on_edge(box: FancyBboxPatch, x: float, y: float) -> bool:
    left, bottom = box.get_x(), box.get_y()
    dx = max(left - x, 0, x - left - box.get_width())
    dy = max(bottom - y, 0, y - bottom - box.get_height())
    inside = min(x - left, left + box.get_width() - x, y - bottom, bottom + box.get_height() - y)
    return dx < 0.01 and dy < 0.01 and abs(inside) < 0.01


def test_curves_of_a_fine_tuning_show_the_training_before_it_too() -> None:
    trained = [{"epoch": e, "loss": 3 / e, "dev_loss": 4 / e} for e in (1, 2, 3)]
    tuned = [{"epoch": e, "reward": 40.0 + e, "dev_CIDEr": 50.0 + e} for e in (1, 2)]
    left, right = draw_curves(tuned, trained).axes
    assert [left.get_title(), right.get_title()] == ["Training", "Fine-tuning"]
    assert left.lines[1].get_ydata().tolist() == [4, 2, 4 / 3]
    assert right.lines[0].get_ydata().tolist() == [41, 42]
    (alone,) = draw_curves(tuned).axes
    assert alone.get_title() == "Fine-tuning"


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("size", [(7, 4), SIZE])
def test_legends_of_curves_stand_within_the_figure_below_the_epochs(
    before: bool, size: tuple[float, float]
) -> None:
    cider = {"few_dev_CIDEr": 123.4}
    trained = [{"epoch": e, "loss": 3 / e, "dev_loss": 4 / e, **cider} for e in range(1, 31)]
    tuned = [{"epoch": e, "reward": 40.0 + e, "dev_CIDEr": 150.0, **cider} for e in range(1, 16)]
    for history in (trained, tuned):
        figure = draw_curves(history, trained if before else (), size=size)
        figure.draw_without_rendering()
        legends = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
        labels = [axes.xaxis.label for axes in figure.axes if axes.get_xlabel()]
        boxes = [one.get_window_extent() for one in (*legends, *labels)]
        assert len(boxes) == (4 if before else 2)
        for box in boxes:
            assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0
            assert sum(box.overlaps(other) for other in boxes) == 1, "overlaps"


def test_curves_show_the_cider_of_a_few_photos_where_it_is_known() -> None:
    epochs = [{"epoch": e, "loss": 3 / e, "dev_loss": 4 / e} for e in (1, 2, 3)]
    epochs[2]["few_dev_CIDEr"] = 41.5  # the first two are of a version without it
    left, right = draw_curves(epochs).axes
    assert right.lines[0].get_xydata().tolist() == [[3, 41.5]]
    legend = [text.get_text() for text in left.get_legend().get_texts()]
    assert legend == ["train", "dev, best 1.333 in epoch 3", "CIDEr, last 41.5"]
    (alone,) = draw_curves(epochs[:1]).axes
    assert alone.get_xticks().tolist() == [1]
