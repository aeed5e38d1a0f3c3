"""The figure of attention: a tile for each word, warm where its attention weights are high."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioning import load
from captioning.errors import CaptioningError
from captioning.pictures.attention_figure import draw_attention, draw_attention_maps
from captioning.vision.images import open_image, to_array


def test_each_tile_is_warm_by_its_words_weights() -> None:
    photo = Image.new("RGB", (200, 100), (90, 90, 90))
    maps = np.zeros((6, 4, 4))
    for word in range(6):
        maps[word, word % 4, 3 - word % 4] = 1.0
    figure = draw_attention_maps(photo, list("abcdef"), maps)
    tiles = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in tiles] == ["", *"abcdef"]
    for word, axes in enumerate(tiles[1:]):
        colours = np.asarray(axes.images[0].get_array()).astype(int)  # (100, 200, 3)
        warmth = colours[..., 0] - colours[..., 2]
        row, column = np.unravel_index(warmth.argmax(), warmth.shape)
        assert (row // 25, column // 50) == (word % 4, 3 - word % 4)
        assert warmth.max() > 100
        # All of the photo is seen: elsewhere it is as bright as it was.
        assert (colours[warmth == 0] == 90).all() and (warmth == 0).mean() > 0.5


def test_little_words_are_faint_and_the_photo_is_beside() -> None:
    photo = Image.new("RGB", (60, 40), (90, 90, 90))
    figure = draw_attention_maps(photo, ["a", "dog", "on", "a", "bed"], np.ones((5, 4, 4)))
    figure.draw_without_rendering()
    whole, *tiles = figure.axes
    assert [axes.images[0].get_alpha() == 1 for axes in tiles] == [False, True, False, False, True]
    box = whole.get_window_extent()
    assert all(not box.overlaps(axes.get_window_extent()) for axes in tiles)
    assert box.width > 1.5 * tiles[0].get_window_extent().width


@pytest.mark.parametrize("decoder", ["attention", "transformer"])
def test_maps_are_those_of_the_steps_that_generated_the_words(
    grids_models: dict[str, Path], scenes_folder: Path, decoder: str
) -> None:
    photo = sorted((scenes_folder / "Flicker8k_Dataset").iterdir())[0]
    captioner = load(grids_models[decoder])
    (caption,) = captioner.caption([photo], beam=3)
    figure = draw_attention(captioner, photo, caption.caption)
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert titles == ["", *caption.caption.split()]
    pixels = to_array(open_image(photo), captioner.trained_model.encoder["size"])[None]
    vectors, grids = captioner.encode(pixels)
    (maps,) = captioner.decoder.attention(vectors, grids, [caption.caption])
    assert maps.shape[0] == len(caption.caption.split())
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1, atol=1e-4)
    (shorter,) = captioner.decoder.attention(
        vectors, grids, [" ".join(caption.caption.split()[:2])]
    )
    np.testing.assert_allclose(shorter, maps[:2], atol=1e-5)  # what comes later changes nothing


def test_a_model_without_attention_is_refused(
    grids_models: dict[str, Path], scenes_folder: Path
) -> None:
    photo = sorted((scenes_folder / "Flicker8k_Dataset").iterdir())[0]
    with pytest.raises(CaptioningError, match="has no attention to draw"):
        draw_attention(load(grids_models["merge"]), photo, "a dog")
