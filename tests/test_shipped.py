"""The model that comes with the repository."""

import json
import re
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
def test_it_captions_ten_real_photos_as_its_card_says(shared: Path, folder: Path) -> None:
    """The card's captions are those of version 1.0.0, each by its photo."""
    card = (folder / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+\.jpg)` \| (?:.* \| )?([^|]+) \|$", card, re.MULTILINE)
    assert len(rows) == 10
    photos = [shared / "flickr8k" / "Flicker8k_Dataset" / name for name, _ in rows]
    options = ["--model", folder, "--weights", BLOCK13, "--format", "jsonl"]
    done = script("caption_generator.py", *options, "-i", *photos)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    captions = [(Path(row["image"]).name, row["caption"]) for row in found]
    assert captions == rows
