"""Which photos count as encoded: by stamp, of finished and interrupted runs."""

import json
import os
import shutil
from pathlib import Path

import numpy as np

from captioning.files.text import write_text
from captioning.vision.encoders import load_encoder
from captioning.vision.extraction import ExtractionSettings, extract_features
from captioning.vision.feature_writer import FeatureWriter
from captioning.vision.features import read_features
from tests.runs import CountingEncoder

BATCHES = ExtractionSettings(batch_size=4)


def test_only_new_and_changed_photos_are_encoded_again(scenes_folder: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    photos = sorted((scenes_folder / "Flicker8k_Dataset").iterdir())
    for photo in photos[:6]:
        shutil.copy(photo, images / photo.name)
    encoder = load_encoder("mini-xception")
    names = [photo.name for photo in photos[:6]]
    before = extract_features(encoder, images, names, tmp_path / "out")
    shutil.copy(photos[9], images / names[0])
    shutil.copy(photos[8], images / "new.jpg")
    encoded = []
    real = encoder.encode
    encoder.encode = lambda pixels: encoded.append(len(pixels)) or real(pixels)
    after = extract_features(encoder, images, [*names[:5], "new.jpg"], tmp_path / "out")
    assert sum(encoded) == 2
    assert set(after.vectors) == {*names[:5], "new.jpg"}
    assert not np.allclose(after.vectors[names[0]], before.vectors[names[0]])
    np.testing.assert_array_equal(after.vectors[names[1]], before.vectors[names[1]])


def test_photos_that_were_only_touched_are_not_encoded_again(
    scenes_folder: Path, tmp_path: Path
) -> None:
    images = tmp_path / "images"
    shutil.copytree(scenes_folder / "Flicker8k_Dataset", images)
    names = sorted(path.name for path in images.iterdir())[:8]
    encoder = CountingEncoder()
    extract_features(encoder, images, names, tmp_path / "out", BATCHES)
    before = read_features(tmp_path / "out")
    for name in names:
        os.utime(images / name, (1, 1))
    encoder.encoded = 0
    extract_features(encoder, images, names, tmp_path / "out", BATCHES)
    assert encoder.encoded == 0
    after = read_features(tmp_path / "out")
    assert [after.stamps[n][1] for n in names] == [10**9] * 8
    assert [after.stamps[n][2] for n in names] == [before.stamps[n][2] for n in names]
    content = bytearray((images / names[0]).read_bytes())
    other = sorted(images.iterdir())[20].read_bytes()
    content[:] = other[: len(content)].ljust(len(content), b"\0")  # of the same size
    (images / names[0]).write_bytes(content)
    extract_features(encoder, images, names[:-2], tmp_path / "out", BATCHES)
    assert encoder.encoded <= 1
    assert set(read_features(tmp_path / "out").vectors) | {names[0]} == set(names[:-2])


def test_what_an_old_run_wrote_without_digests_is_taken_over(
    scenes_folder: Path, tmp_path: Path
) -> None:
    """Stamps of early versions have no SHA-256; the same size and time are enough."""
    images, encoder = scenes_folder / "Flicker8k_Dataset", CountingEncoder()
    names = sorted(path.name for path in images.iterdir())[:4]
    extract_features(encoder, images, names, tmp_path / "out", BATCHES)
    about = json.loads((tmp_path / "out" / "features.json").read_text())
    about["stamps"] = {name: stamp[:2] for name, stamp in about["stamps"].items()}
    write_text(tmp_path / "out" / "features.json", json.dumps(about))
    writer = FeatureWriter(tmp_path / "out", encoder.signature())
    assert all(writer.is_done(name, images / name) for name in names)
    writer.close()
