"""Photos of all kinds come out upright, RGB, the same."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioning.images import UnreadableImageError, load_array, open_image


def picture() -> Image.Image:
    """Left half red, right half blue, the top rows green: which way up it is can be seen."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30, 0] = pixels[:, 30:, 2] = 200
    pixels[:10] = (0, 200, 0)
    return Image.fromarray(pixels)


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
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    turned = picture().transpose(undo[orientation]) if orientation > 1 else picture()
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
        "cut.jpg": "truncated", "empty.jpg": "empty", "text.jpg": "not an image",
        "folder.jpg": "folder", "link.jpg": "no such file",
    }.items():
        with pytest.raises(UnreadableImageError, match=reason):
            open_image(tmp_path / name)
    with pytest.raises(UnreadableImageError, match="limit of 100"):
        open_image(tmp_path / "large.png", max_pixels=100)
