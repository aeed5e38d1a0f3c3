"""The models that come with the repository."""

import json
import re
import threading
from pathlib import Path

import numpy as np
import pytest

from captioning.inference.description import read_description
from captioning.inference.familiarity import is_unfamiliar
from captioning.inference.loading import load
from captioning.inference.models import SHIPPED
from captioning.vision.encoders import grid_shape
from captioning.vision.own_weights import OWN_WEIGHTS
from tests.conftest import BLOCK13, ROOT, script
from tests.sample_photos import make_photos

FOLDERS = [ROOT / "models" / name for name in SHIPPED if (ROOT / "models" / name).is_dir()]


ENCODERS = {
    "flickr8k": "efficientnet-lite2",
    "flickr8k-tuned": "efficientnet-lite2",
    "flickr8k-xception": "xception-block13",
    "flickr8k-merge": "xception-block13",
}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_shipped_model_is_whole_small_and_generates_sentences(folder: Path) -> None:
    has_encoder = (folder / OWN_WEIGHTS).is_file()
    largest = 42e6 if has_encoder else 32e6
    assert sum(file.stat().st_size for file in folder.iterdir()) < largest
    description = read_description(folder)
    assert description["encoder"]["name"] == ENCODERS[folder.name]
    captioner = load(folder)
    regions, size = grid_shape(description["encoder"])
    generator = np.random.default_rng(0)
    grids = generator.random((3, 2, regions, size), dtype=np.float32)
    vectors = generator.random((3, description["encoder"]["vector_size"]), dtype=np.float32)
    for beam in (1, 3):
        for best, *_ in captioner.decoder.decode(vectors, grids, beam=beam):
            words = captioner.decoder.text(best).split()
            assert 3 <= len(words) <= description["max_length"]
            assert set(words) <= set(description["words"])


def test_all_models_are_shipped_and_small_together() -> None:
    assert [folder.name for folder in FOLDERS] == list(SHIPPED) == list(ENCODERS)
    sizes = [file.stat().st_size for folder in FOLDERS for file in folder.iterdir()]
    assert sum(sizes) < 95e6


def test_the_shipped_model_captions_samples_alike_with_both_runtimes() -> None:
    photos = sorted((ROOT / "samples").glob("*.jpg"))
    found = [[*load(FOLDERS[0], runtime=runtime).caption(photos)] for runtime in ("onnx", "keras")]
    ours, theirs = found
    assert [c.caption for c in ours] == [c.caption for c in theirs]
    np.testing.assert_allclose([c.score for c in ours], [c.score for c in theirs], atol=1e-3)
    np.testing.assert_allclose([c.familiar for c in ours], [c.familiar for c in theirs], atol=2e-3)
    # A cup of coffee is none of what it learned from, whatever it says of it.
    familiar = {caption.image.name: caption.familiar for caption in ours}
    assert is_unfamiliar(familiar["coffee.jpg"]) and is_unfamiliar(familiar["coins.jpg"])
    assert not is_unfamiliar(familiar["cameraman.jpg"])


def test_groups_of_photos_side_by_side_are_captioned_as_one_after_the_other(
    tmp_path: Path,
) -> None:
    photos = make_photos(tmp_path, 50)
    (tmp_path / "no photo.jpg").write_text("nothing")
    photos.insert(20, tmp_path / "no photo.jpg")
    captioner = load(FOLDERS[0], runtime="onnx")
    plain = [*captioner.caption(photos)]
    beside = [*captioner.caption(photos, groups_at_once=3)]
    assert [c.image for c in beside] == photos
    assert [(c.caption, c.error) for c in beside] == [(c.caption, c.error) for c in plain]
    np.testing.assert_allclose([c.score for c in beside], [c.score for c in plain], atol=1e-4)
    # A caller that takes no more leaves no thread behind.
    before = threading.active_count()
    for _ in captioner.caption(photos, groups_at_once=3):
        break
    assert threading.active_count() == before


@pytest.mark.flickr8k
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_captions_ten_real_photos_as_its_card_says(shared: Path, folder: Path) -> None:
    """Each photo's caption, to the word; the merge model's as version 1.0.0 had them."""
    card = (folder / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+\.jpg)` \| (?:.* \| )?([^|]+) \|$", card, re.MULTILINE)
    assert len(rows) == 10
    photos = [shared / "flickr8k" / "Flicker8k_Dataset" / name for name, _ in rows]
    weights = ["--weights", BLOCK13] if "xception" in ENCODERS[folder.name] else []
    options = ["--model", folder, *weights, "--format", "jsonl"]
    done = script("caption_generator.py", *options, "-i", *photos)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    captions = [(Path(row["image"]).name, row["caption"]) for row in found]
    assert captions == rows
