"""The model that comes with the repository."""

import json
from pathlib import Path

import numpy as np
import pytest

from captioning.inference.description import read_description
from captioning.inference.loading import load
from captioning.inference.models import SHIPPED
from tests.conftest import BLOCK13, ROOT, script

FOLDERS = [ROOT / "models" / name for name in SHIPPED if (ROOT / "models" / name).is_dir()]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_shipped_model_is_whole_small_and_generates_sentences(folder: Path) -> None:
    assert sum(file.stat().st_size for file in folder.iterdir()) < 20 << 20
    description = read_description(folder)
    assert description["encoder"]["name"] == "xception-block13"
    captioner = load(folder)
    grids = np.random.default_rng(0).random((3, 2, 100, 1024), dtype=np.float32)
    vectors = grids.mean(axis=(1, 2))  # (3, 1024)
    for beam in (1, 3):
        for best, *_ in captioner.decoder.decode(vectors, grids, beam=beam):
            words = captioner.decoder.text(best).split()
            assert 3 <= len(words) <= description["max_length"]
            assert set(words) <= set(description["words"])


def test_both_models_are_shipped_and_small_together() -> None:
    assert len(FOLDERS) == len(SHIPPED) == 2
    sizes = [file.stat().st_size for folder in FOLDERS for file in folder.iterdir()]
    assert sum(sizes) < 40e6


@pytest.mark.flickr8k
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_captions_real_photos_as_its_card_says(shared: Path, folder: Path) -> None:
    names = (shared / "flickr8k/Flickr_8k_text/Flickr_8k.devImages.txt").read_text().split()[:4]
    photos = [shared / "flickr8k" / "Flicker8k_Dataset" / name for name in names]
    done = script(
        "caption_generator.py",
        "--model",
        folder,
        "--weights",
        BLOCK13,
        "--format",
        "jsonl",
        "-i",
        *photos,
    )
    assert done.returncode == 0, done.stderr
    card = (folder / "README.md").read_text(encoding="utf-8")
    for row in map(json.loads, done.stdout.splitlines()):
        assert row["caption"] in card
