"""The rendered scenes of the demo, their captions and their encoder."""

from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from captioning.scenes.captions import names_all, scene_captions
from captioning.scenes.dataset import write_scenes
from captioning.scenes.drawing import draw_scene
from captioning.scenes.mini_xception import SIZE, WEIGHTS_FILE, build_mini_xception
from captioning.scenes.mini_xception_training import (
    PAIRS,
    render_scenes,
    scaled,
    train_mini_xception,
)
from captioning.scenes.world import COLOURS, GROUNDS, KINDS, Scene, Thing, random_scene

TWO_THINGS = Scene(
    "grass", (Thing("ball", "red", 0.3, 0.5, 0.3), Thing("box", "orange", 0.7, 0.6, 0.3))
)


@pytest.fixture(name="generator")
def _generator() -> np.random.Generator:
    return np.random.default_rng(7)


def every_file(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# --- Scenes and pictures ---------------------------------------------------------------------


def test_scenes_are_varied_and_their_things_differ(generator):
    scenes = [random_scene(generator) for _ in range(500)]
    for scene in scenes:
        pairs = [(thing.kind, thing.colour) for thing in scene.things]
        assert len(set(pairs)) == len(pairs)
    assert {len(scene.things) for scene in scenes} == {1, 2, 3}
    assert {scene.ground for scene in scenes} == set(GROUNDS)
    assert {thing.kind for scene in scenes for thing in scene.things} == set(KINDS)
    assert {thing.colour for scene in scenes for thing in scene.things} == set(COLOURS)


def test_things_lie_inside_the_picture_and_apart(generator):
    for scene in [random_scene(generator) for _ in range(300)]:
        for number, thing in enumerate(scene.things):
            assert thing.size / 2 <= thing.x <= 1 - thing.size / 2
            assert thing.size / 2 <= thing.y <= 1 - thing.size / 2
            for other in scene.things[:number]:
                distance = max(abs(thing.x - other.x), abs(thing.y - other.y))
                assert distance >= (thing.size + other.size) / 2


@pytest.mark.parametrize("ground", GROUNDS)
def test_every_kind_is_drawn_on_every_ground(ground, generator):
    for kind in KINDS:
        image = draw_scene(Scene(ground, (Thing(kind, "red", 0.5, 0.6, 0.4),)), generator)
        assert (image.size, image.mode) == ((128, 128), "RGB")
        middle = np.asarray(image, int)[50:104, 50:78]  # (54, 28, 3)
        red, green, blue = np.moveaxis(middle, -1, 0)
        assert ((red > 120) & (red > 2 * green) & (red > 2 * blue)).mean() > 0.1


def test_a_scene_is_drawn_at_any_size(generator):
    assert draw_scene(TWO_THINGS, generator, size=64).size == (64, 64)


# --- Captions --------------------------------------------------------------------------------


def test_captions_name_everything_and_look_like_flickr8k(generator):
    for scene in [random_scene(generator) for _ in range(300)]:
        captions = scene_captions(scene, generator)
        assert len(set(captions)) == 5
        for caption in captions:
            assert names_all(scene, caption)
            assert scene.ground in caption.lower().split()
            assert caption[0].isupper() and caption.endswith(" .")
            assert "  " not in caption and "{" not in caption


def test_captions_use_a_and_an_and_one_order(generator):
    turned = Scene(TWO_THINGS.ground, TWO_THINGS.things[::-1])
    for caption in scene_captions(TWO_THINGS, generator) + scene_captions(turned, generator):
        assert "a red ball" in caption.lower() and "an orange box" in caption
        assert caption.index("red ball") < caption.index("orange box")


@pytest.mark.parametrize(
    ("caption", "right"),
    [
        ("a red ball and an orange box on the grass", True),
        ("An orange box , next to a RED ball .", True),
        ("a red box and an orange ball on the grass", False),  # colours swapped
        ("a blue ball and an orange box on the grass", False),
        ("a red ball on the grass", False),
        ("a red ball an orange box and a blue car on the grass", False),
        ("a red ball and a red ball and an orange box on the grass", False),
        ("a ball and an orange box on the grass", False),
        ("a red ball and an orange box and a car on the grass", False),
        ("", False),
    ],
)
def test_names_all(caption, right):
    assert names_all(TWO_THINGS, caption) is right


# --- Files -----------------------------------------------------------------------------------


def test_scenes_are_written_in_flickr8ks_layout(tmp_path):
    scenes = write_scenes(tmp_path, train=6, dev=3, test=2, seed=1)
    assert list(scenes) == [f"scene-{number:05d}.jpg" for number in range(11)]
    for name in scenes:
        with Image.open(tmp_path / "Flicker8k_Dataset" / name) as photo:
            assert (photo.format, photo.size, photo.mode) == ("JPEG", (128, 128), "RGB")
    text = tmp_path / "Flickr_8k_text"
    splits = [
        (text / f"Flickr_8k.{split}Images.txt").read_text().split()
        for split in ("train", "dev", "test")
    ]
    assert [len(split) for split in splits] == [6, 3, 2]
    assert sum(splits, []) == list(scenes)
    rows = (text / "Flickr8k.token.txt").read_text().splitlines()
    assert len(rows) == 5 * len(scenes)
    for row in rows:
        name_and_place, caption = row.split("\t")
        name, place = name_and_place.split("#")
        assert place in "01234" and names_all(scenes[name], caption)


def test_the_seed_decides_everything(tmp_path):
    first = write_scenes(tmp_path / "a", 4, 1, 1, seed=3)
    assert write_scenes(tmp_path / "b", 4, 1, 1, seed=3) == first
    assert every_file(tmp_path / "a") == every_file(tmp_path / "b")
    assert write_scenes(tmp_path / "c", 4, 1, 1, seed=4) != first


def test_a_negative_count_is_refused(tmp_path):
    with pytest.raises(ValueError, match="-1"):
        write_scenes(tmp_path, 3, -1, 1, seed=0)


# --- The encoder -----------------------------------------------------------------------------


def test_the_encoder_gives_a_grid():
    encoder = build_mini_xception()
    assert encoder.input_shape == (None, 96, 96, 3)
    assert encoder.output_shape == (None, 6, 6, 224)
    assert build_mini_xception(64).output_shape == (None, 4, 4, 224)
    with pytest.raises(ValueError, match="multiple of 16"):
        build_mini_xception(100)


def test_rendered_scenes_are_labelled():
    images, pairs, grounds = render_scenes(5, seed=2)
    assert (images.shape, images.dtype) == ((5, SIZE, SIZE, 3), np.uint8)
    assert pairs.shape == (5, PAIRS) and set(pairs.sum(axis=1)) <= {1, 2, 3}
    assert grounds.shape == (5,) and grounds.max() < len(GROUNDS)
    assert scaled(images).min() >= -1 and scaled(images).max() <= 1


def test_the_encoders_weights_are_small_and_load():
    assert WEIGHTS_FILE.stat().st_size <= 2_000_000
    encoder = build_mini_xception()
    before = encoder.get_weights()
    encoder.load_weights(WEIGHTS_FILE)
    assert any((old != new).any() for old, new in zip(before, encoder.get_weights(), strict=True))


def test_the_trained_vector_tells_scenes_apart():
    """Vectors of scenes on one ground lie closer together than those of different grounds."""
    images, _, grounds = render_scenes(96, seed=11)
    encoder = build_mini_xception()
    encoder.load_weights(WEIGHTS_FILE)
    vectors = keras.ops.convert_to_numpy(encoder(scaled(images))).mean(axis=(1, 2))  # (96, 224)
    assert np.isfinite(vectors).all()
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)  # (96, 96)
    same_ground = grounds[:, None] == grounds[None]
    assert distances[same_ground].mean() < distances[~same_ground].mean()


def test_too_few_scenes_to_train_on_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 64"):
        train_mini_xception(tmp_path / "any.weights.h5", scenes=10)
