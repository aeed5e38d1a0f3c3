"""Extraction: what is written, what is skipped, and how an interrupted run is continued."""

import csv
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioning.data.photos import IMAGE_ENDINGS
from captioning.data.prepared import read_prepared, read_tokenizer
from captioning.errors import CaptioningError
from captioning.vision.encoders import ENCODERS, load_encoder
from captioning.vision.extraction import ExtractionSettings, extract_features
from captioning.vision.feature_writer import FeatureWriter
from captioning.vision.features import read_features
from captioning.vision.images import load_array
from tests.conftest import BLOCK13, input_options, script
from tests.odd_images import OPENS, SAME, WHITE, write_collection


def test_the_three_files_are_what_the_seed_project_writes(data_folder: Path) -> None:
    with (data_folder / "features.p").open("rb") as file:
        vectors = pickle.load(file)
    assert len(vectors) == 120
    assert all(v.shape == (1, 224) and v.dtype == np.float32 for v in vectors.values())
    first = (data_folder / "descriptions.txt").read_text(encoding="utf-8").split("\n")[0]
    name, caption = first.split("\t")
    assert name in vectors
    assert caption == caption.lower()
    words = read_tokenizer(data_folder / "tokenizer.p").words
    assert "a" in words
    about = json.loads((data_folder / "features.json").read_text())
    assert about["made_by"]["name"] == "mini-xception"
    assert about["made_by"]["resize"] == "bicubic"
    assert not (data_folder / "features.partial").exists()


def test_the_tokenizer_knows_the_training_words_alone(data_folder: Path) -> None:
    prepared = read_prepared(data_folder)
    train = {w for n in prepared.splits["train"] for c in prepared.captions[n] for w in c.split()}
    assert set(prepared.tokenizer.words) <= train


def test_a_batch_gives_what_one_photo_gives(scenes_folder: Path) -> None:
    encoder = load_encoder("mini-xception")
    photos = sorted((scenes_folder / "Flicker8k_Dataset").iterdir())[:5]
    images = np.stack([load_array(photo, 96) for photo in photos])
    together = encoder.encode(images)
    vectors, grids = encoder.encode_grids(images)
    assert grids.shape == (5, 36, 224)
    np.testing.assert_allclose(grids.mean(axis=1), vectors, atol=1e-5)
    np.testing.assert_allclose(together, vectors, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(images[2:3])[0], together[2], atol=1e-4)


@pytest.mark.parametrize("views", [0, 1, 3])
def test_an_interrupted_extraction_is_continued(
    scenes_folder: Path, tmp_path: Path, views: int
) -> None:
    images = scenes_folder / "Flicker8k_Dataset"
    names = sorted(photo.name for photo in images.iterdir())[:40]
    encoder, settings = load_encoder("mini-xception"), ExtractionSettings(8, views)
    whole = extract_features(encoder, images, names, tmp_path / "whole", settings)
    half = tmp_path / "half"
    extract_features(encoder, images, names[:16], tmp_path / "begun", settings)
    # What a kill leaves: the partial files, the last line of the index cut off.
    writer = FeatureWriter(half, encoder.signature(), views)
    begun = read_features(tmp_path / "begun")
    for name in names[:16]:
        grid = begun.grids[begun.rows[name]][None] if views else None
        writer.add([name], [begun.stamps[name]], begun.vectors[name], grid)
    writer.close()
    index = half / "features.partial" / "index.jsonl"
    index.write_text(index.read_text()[:-7])

    encoded = []
    real = encoder.encode_grids if views else encoder.encode
    name = "encode_grids" if views else "encode"
    setattr(encoder, name, lambda pixels: encoded.append(len(pixels)) or real(pixels))
    resumed = extract_features(encoder, images, names, half, settings)
    assert sum(encoded) == (40 - 15) * max(1, views)
    assert list(resumed.vectors) == list(whole.vectors) == names
    for name in names:
        np.testing.assert_allclose(resumed.vectors[name], whole.vectors[name], atol=1e-4)
    if views:
        ours, theirs = read_features(half), read_features(tmp_path / "whole")
        for name in names:
            np.testing.assert_allclose(
                ours.grids[ours.rows[name]], theirs.grids[theirs.rows[name]], atol=2e-3
            )


def test_photos_whose_grids_are_missing_are_encoded_again(
    scenes_folder: Path, tmp_path: Path
) -> None:
    """A batch of an interrupted run counts only as far as its vectors and its grids are there."""
    encoder, images = load_encoder("mini-xception"), scenes_folder / "Flicker8k_Dataset"
    names = sorted(photo.name for photo in images.iterdir())[:6]
    begun = extract_features(encoder, images, names, tmp_path / "begun", ExtractionSettings(8, 1))
    grids = read_features(tmp_path / "begun").grids
    for bytes_left in (None, 3 * grids[0].nbytes + 1):
        half = tmp_path / f"half-{bytes_left}"
        writer = FeatureWriter(half, encoder.signature(), 1)
        for name in names:
            grid = grids[begun.rows[name]][None]
            writer.add([name], [begun.stamps[name]], begun.vectors[name], grid)
        writer.close()
        (file,) = half.glob("grids-*.f16")
        if bytes_left is None:
            file.unlink()
        else:
            os.truncate(file, bytes_left)
        extract_features(encoder, images, names, half, ExtractionSettings(8, 1))
        ours = read_features(half)
        np.testing.assert_allclose(ours.grids[ours.grid_rows(names)[:, 0]], grids, atol=2e-3)


def test_unreadable_photos_are_named_and_skipped(scenes_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "scenes"
    shutil.copytree(scenes_folder, folder)
    images = folder / "Flicker8k_Dataset"
    bad, empty = sorted(images.iterdir())[:2]
    bad.write_text("no image")
    empty.write_bytes(b"")
    done = script(
        "features.py",
        *input_options(folder),
        "--output",
        tmp_path / "out",
        "--encoder",
        "mini-xception",
    )
    assert done.returncode == 0, done.stderr
    assert f"{bad.name}: not an image" in done.stderr
    assert f"{empty.name}: an empty file" in done.stderr
    features = read_features(tmp_path / "out")
    assert len(features.vectors) == 118
    assert set(features.failed) == {bad.name, empty.name}
    assert bad.name not in read_prepared(tmp_path / "out").splits["train"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "nowhere"], "folder of photos nowhere is missing"),
        (["--text", "nowhere"], "folder of captions nowhere is missing"),
        (["--encoder", "resnet"], "no encoder is named 'resnet'"),
        (["--weights", "none.h5"], "weights file none.h5 is missing"),
        (["--weights", "docs"], "weights file docs is a folder"),
        (["--weights", __file__], "does not hold weights"),
        (["--batch-size", "0"], "--batch-size"),
    ],
)
def test_wrong_arguments_end_in_a_message(
    scenes_folder: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = script(
        "features.py",
        *input_options(scenes_folder),
        "--output",
        tmp_path / "out",
        *arguments,
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_vectors_and_their_description_must_fit(data_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(data_folder, folder)
    about = json.loads((folder / "features.json").read_text())
    about["made_by"]["vector_size"] = 2048
    (folder / "features.json").write_text(json.dumps(about))
    with pytest.raises(CaptioningError, match="2048"):
        read_features(folder)
    (folder / "features.json").unlink()
    with pytest.raises(CaptioningError, match=r"features\.json is missing"):
        read_features(folder)


def test_every_encoder_has_its_settings() -> None:
    assert ENCODERS["xception"].vector_size == 2048
    assert ENCODERS["xception-block13"].vector_size == 1024
    assert ENCODERS["xception"].size == 299
    assert ENCODERS["mini-xception"].size <= 128


@pytest.mark.flickr8k
def test_block13_of_the_real_weights_and_the_message_for_block14(shared: Path) -> None:
    photos = sorted((shared / "flickr8k" / "Flicker8k_Dataset").iterdir())[:2]
    images = np.stack([load_array(photo, 299) for photo in photos])
    vectors = load_encoder("xception-block13", str(BLOCK13)).encode(images)
    assert vectors.shape == (2, 1024)
    assert np.isfinite(vectors).all()
    assert 0.2 < np.corrcoef(vectors)[0, 1] < 0.9999
    with pytest.raises(CaptioningError, match="--encoder xception-block13"):
        load_encoder("xception", str(BLOCK13)).encode(images)


def test_names_of_all_kinds_and_the_limit_on_pixels(tmp_path: Path) -> None:
    """The collection of odd files through features.py and back: nothing lost, nothing confused."""
    images, text = tmp_path / "images", tmp_path / "text"
    images.mkdir()
    text.mkdir()
    expected = write_collection(images)
    Image.new("RGB", (3000, 100)).save(images / "wide.png")
    in_table = [name for name in expected if name.isascii() or "\udcff" not in name]
    with (text / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["image", "caption"])
        table.writerows([name, "A dog runs ."] for name in in_table)
    done = script(
        "features.py",
        "--images",
        images,
        "--text",
        text,
        "--output",
        tmp_path / "out",
        "--encoder",
        "mini-xception",
        "--min-count",
        1,
        "--max-pixels",
        290_000,
    )
    assert done.returncode == 0, done.stderr
    features = read_features(tmp_path / "out")
    named = {name for name in expected if Path(name).suffix.lower() in IMAGE_ENDINGS}
    good = {name for name in named if expected[name] in (SAME, WHITE, OPENS)}
    assert set(features.vectors) == good
    assert set(features.failed) == named - good - {"folder.jpg"} | {"wide.png"}
    assert features.failed["wide.png"].endswith("the limit of 290,000")
    assert "skipped wide.png: " in done.stderr
    assert set(read_prepared(tmp_path / "out").captions) == set(in_table)
