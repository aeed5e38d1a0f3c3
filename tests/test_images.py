"""Photos of all kinds come out upright, RGB, the same."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioning.vision.batches import read_batches, read_in_sizes
from captioning.vision.images import UnreadableImageError, load_array, open_image
from tests.odd_images import OPENS, SAME, UNDO, WHITE, picture, write_collection

# pytest shows every warning anew, those of Pillow that captioning.vision.images silences as well.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")


def assert_same(path: Path, tolerance: int = 12) -> None:
    found = np.asarray(open_image(path), int)
    assert found.shape == (40, 60, 3)
    assert np.abs(found - np.asarray(picture(), int))[2:-2, 2:-2].mean() < tolerance


@pytest.mark.parametrize("name", ["x.png", "x.bmp", "x.webp", "x.tiff", "x.JPG", "x y'ü\n.png"])
def test_formats_and_odd_names(tmp_path: Path, name: str) -> None:
    picture().save(tmp_path / name, quality=95)
    assert_same(tmp_path / name)


@pytest.mark.parametrize("mode", ["P", "RGBA", "CMYK"])
def test_modes(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("x.tiff" if mode == "CMYK" else "x.png")
    picture().convert(mode).save(path)
    assert_same(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(tmp_path: Path, orientation: int) -> None:
    turned = picture().transpose(UNDO[orientation]) if orientation > 1 else picture()
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned.save(tmp_path / "x.png", exif=exif)
    assert_same(tmp_path / "x.png", tolerance=1)


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "x.png")
    assert np.asarray(open_image(tmp_path / "x.png")).min() == 255
    Image.new("LA", (4, 4), (0, 128)).save(tmp_path / "gray.png")
    assert 120 < np.asarray(open_image(tmp_path / "gray.png")).mean() < 135


def test_gray_one_bit_and_sixteen_bit(tmp_path: Path) -> None:
    Image.new("L", (4, 4), 100).save(tmp_path / "gray.png")
    Image.new("1", (4, 4), 1).save(tmp_path / "bit.png")
    Image.fromarray(np.full((4, 4), 25_700, np.uint16)).save(tmp_path / "deep.png")
    assert (load_array(tmp_path / "gray.png", 6) == 100).all()
    assert (load_array(tmp_path / "bit.png", 6) == 255).all()
    assert (load_array(tmp_path / "deep.png", 6) == 100).all()


def test_the_first_frame_of_several(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), c) for c in ("red", "blue")]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert np.asarray(open_image(tmp_path / "x.gif"))[0, 0].tolist() == [255, 0, 0]


def test_what_is_no_image_has_a_reason(tmp_path: Path) -> None:
    picture().save(tmp_path / "cut.jpg")
    cut = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(cut[: len(cut) // 2])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere")
    picture().save(tmp_path / "large.png")
    for name, reason in {
        "cut.jpg": "truncated",
        "empty.jpg": "empty",
        "text.jpg": "not an image",
        "folder.jpg": "folder",
        "link.jpg": "no such file",
    }.items():
        with pytest.raises(UnreadableImageError, match=reason):
            open_image(tmp_path / name)
    with pytest.raises(UnreadableImageError, match="limit of 100"):
        open_image(tmp_path / "large.png", max_pixels=100)


def test_every_file_of_the_collection_is_opened_or_has_its_reason(tmp_path: Path) -> None:
    expected = write_collection(tmp_path)
    assert len(expected) >= 100
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(expected)
    wrong = {}
    for name, wanted in expected.items():
        try:
            image = open_image(tmp_path / name)
        except UnreadableImageError as error:
            if not re.search(wanted, str(error)):
                wrong[name] = (wanted, str(error))
            continue
        pixels = np.asarray(image, int)
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
        if wanted == SAME:
            assert pixels.shape == (40, 60, 3), name
            far = np.abs(pixels - np.asarray(picture(), int))[2:-2, 2:-2].mean()
            good = far < 12
        else:
            good = wanted == OPENS or (wanted == WHITE and pixels.min() >= 254)
        if not good:
            wrong[name] = (wanted, "opened as something else")
    assert wrong == {}


def test_extraction_and_captioning_see_the_same_bytes(tmp_path: Path) -> None:
    """Whatever the batch and the thread, a photo's pixels are those of `load_array`."""
    expected = write_collection(tmp_path)
    paths = [tmp_path / name for name in expected]
    failed: dict[Path, str] = {}
    seen = {}
    for batch, pixels in read_batches(paths, 32, 7, failed):
        seen |= dict(zip(batch, pixels, strict=True))
    assert seen.keys() | failed.keys() == set(paths)
    assert not seen.keys() & failed.keys()
    for path, pixels in seen.items():
        np.testing.assert_array_equal(pixels, load_array(path, 32))


def test_encoders_of_two_sizes_read_the_same_photos(tmp_path: Path) -> None:
    expected = write_collection(tmp_path)
    paths, failed, seen = [tmp_path / name for name in expected], {}, 0
    for batch, (small, large) in read_in_sizes(paths, (32, 48), 7, failed):
        seen += len(batch)
        np.testing.assert_array_equal(small, [load_array(path, 32) for path in batch])
        np.testing.assert_array_equal(large, [load_array(path, 48) for path in batch])
    assert seen and seen + len(failed) == len(paths)


def test_the_limit_on_pixels_is_exact_and_goes_down_to_the_reader(tmp_path: Path) -> None:
    Image.new("RGB", (11, 9)).save(tmp_path / "x.png")
    assert open_image(tmp_path / "x.png", max_pixels=99).size == (11, 9)
    failed: dict[Path, str] = {}
    assert list(read_batches([tmp_path / "x.png"], 8, 1, failed, max_pixels=98)) == []
    assert "limit of 98" in failed[tmp_path / "x.png"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_photo_that_may_not_be_read_is_reported(tmp_path: Path) -> None:
    picture().save(tmp_path / "x.png")
    (tmp_path / "x.png").chmod(0)
    with pytest.raises(UnreadableImageError, match="denied"):
        open_image(tmp_path / "x.png")
