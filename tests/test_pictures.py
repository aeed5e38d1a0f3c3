"""Figures: letters are large enough for a phone, and nothing overlaps."""

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from captioning.pictures.attention_figure import draw_attention_maps
from captioning.pictures.contact_sheet import contact_sheet
from captioning.pictures.model_figure import draw_model

PHONE = 328
"""Pixels of a README's picture on a phone that is 360 wide."""


def letters(figure: Figure, size: float) -> float:
    """Pixels of letters of `size` points when the figure is as wide as a phone shows it."""
    return size * PHONE / (72 * figure.get_figwidth())


def test_captions_on_a_sheet_are_legible_on_a_phone() -> None:
    photos = [Image.new("RGB", (60, 40))] * 5
    captions = ["a dog", *["the grass with a red star and a red house and a purple kite on it"] * 4]
    figure = contact_sheet(photos, captions, columns=3)
    figure.draw_without_rendering()
    labels = [axes.xaxis.label for axes in figure.axes if axes.images]
    assert all(letters(figure, label.get_fontsize()) > 7 for label in labels)
    boxes = [label.get_window_extent() for label in labels]
    pictures = [axes.get_window_extent() for axes in figure.axes if axes.images]
    others = [*boxes, *pictures]
    for box in boxes:
        assert sum(box.overlaps(other) for other in others) == 1, "overlaps"


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
    boxes = [
        text.get_bbox_patch().get_window_extent()
        for text in figure.axes[0].texts
        if text.get_text()
    ]
    assert len(boxes) == len(model.layers)
    for box in boxes:
        assert sum(box.overlaps(other) for other in boxes) == 1, "overlaps"
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width
