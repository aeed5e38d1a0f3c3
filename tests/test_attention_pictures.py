"""The figure of attention: a tile for each word, lit where its attention weights are high."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioning import load
from captioning.errors import CaptioningError
from captioning.pictures.attention_figure import draw_attention, draw_attention_maps
from captioning.vision.images import open_image, to_array


def test_each_tile_is_lit_by_its_words_weights() -> None:
    photo = Image.new("RGB", (200, 100), (200, 200, 200))
    maps = np.zeros((6, 4, 4))
    for word in range(6):
        maps[word, word % 4, 3 - word % 4] = 1.0
    figure = draw_attention_maps(photo, list("abcdef"), maps)
    tiles = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in tiles] == ["", *"abcdef"]
    for word, axes in enumerate(tiles[1:]):
        light = np.asarray(axes.images[0].get_array()).mean(axis=-1)  # (100, 200)
        row, column = np.unravel_index(light.argmax(), light.shape)
        assert (row // 25, column // 50) == (word % 4, 3 - word % 4)
        assert light.min() < light.max() / 3


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
