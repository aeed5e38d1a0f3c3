"""The demo, on fewer scenes: it leaves what it promises, and captions work offline after it."""

from pathlib import Path

from PIL import Image

from tests.conftest import script


def test_the_demo_end_to_end(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = script("demo.py", "--output", folder, "--scenes", 100, "--epochs", 1)
    assert done.returncode == 0, done.stderr
    assert "of 500 unseen scenes" in done.stdout
    with Image.open(folder / "captions.png") as sheet:
        assert sheet.width > 800
    for name in ("model.keras", "captioner.json", "curves.png", "model.png", "scores.json"):
        assert (folder / name).is_file(), name
    photo = next((folder / "data" / "Flicker8k_Dataset").iterdir())
    caption = script("caption_generator.py", "--model", folder, "-i", photo)
    assert caption.returncode == 0, caption.stderr
    assert caption.stdout.strip()


def test_wrong_arguments(tmp_path: Path) -> None:
    done = script("demo.py", "--output", tmp_path / "x", "--scenes", 2)
    assert done.returncode == 2
    assert "--scenes" in done.stderr
    assert not (tmp_path / "x").exists()
