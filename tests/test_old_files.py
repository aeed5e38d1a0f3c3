"""Files that version 1.0.0 wrote: read, gone on with and captioned with as before."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from captioning import load
from captioning.data.prepared import read_prepared
from captioning.inference.trained_model import load_trained_model
from tests.conftest import script

ARCHIVE = Path(__file__).parent / "old_files" / "written_by_1.0.0.zip"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The unpacked archive."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(tmp_path)
    return tmp_path


@pytest.fixture
def expected(old: Path) -> dict:
    """What version 1.0.0 itself made of these files."""
    return json.loads((old / "expected.json").read_text(encoding="utf-8"))


def magnitudes(folder: Path) -> list[float]:
    """The sum of the magnitudes of each weight of a saved model."""
    model = load_trained_model(folder).model
    return [float(np.abs(np.asarray(weight)).sum()) for weight in model.trainable_weights]


def test_a_finished_extraction_is_read(old: Path) -> None:
    prepared = read_prepared(old / "data")
    assert {split: len(names) for split, names in prepared.splits.items()} == {
        "train": 8,
        "dev": 3,
        "test": 1,
    }
    names = sorted(prepared.features.vectors)
    assert prepared.features.matrix(names).shape == (12, 224)
    rows = prepared.features.grid_rows(names)
    grids = prepared.features.grids
    assert grids is not None
    assert grids[rows[:, 0]].shape == (12, 36, 224)
    # The vector is the average of the grid, which is kept in half precision.
    averages = grids[rows[:, 0]].astype(np.float32).mean(axis=1)
    np.testing.assert_allclose(averages, prepared.features.matrix(names), atol=2e-3)


def test_a_stopped_extraction_goes_on_after_the_last_photo(old: Path) -> None:
    kept = old / "half" / "features.partial" / "vectors.f32"
    vectors = np.fromfile(kept, np.float32).reshape(7, 224)
    vectors[0] = 42.0  # no network gives this: it is there in the end only if it was kept
    vectors.tofile(kept)
    done = script(
        "features.py",
        *("--images", old / "Flicker8k_Dataset", "--text", old / "Flickr_8k_text"),
        *("--output", old / "half", "--encoder", "mini-xception", "--min-count", 1, "--grids"),
        *("--precision", "float32"),  # as it began, where the processor has bfloat16 as well
    )
    assert done.returncode == 0, done.stderr
    found, whole = (read_prepared(old / folder).features for folder in ("half", "data"))
    names = sorted(whole.vectors)
    assert sorted(found.vectors) == names
    np.testing.assert_array_equal(found.vectors[names[0]], np.full((1, 224), 42.0, np.float32))
    np.testing.assert_allclose(found.matrix(names[1:]), whole.matrix(names[1:]), atol=2e-2)


@pytest.mark.parametrize(
    ("run", "options"),
    [
        (
            "training",
            "--decoder transformer --width 12 --epochs 4 --batch-size 4 --dropout 0.1 "
            "--smoothing 0.1 --weight-decay 0 --warm-up 1 --learning-rate 0.01 --patience 4",
        ),
        (
            "self-critical",
            "--initial {old}/model --finetune cider --epochs 3 --batch-size 4 --samples 3",
        ),
    ],
)
def test_a_stopped_training_ends_as_an_undisturbed_one(
    old: Path, expected: dict, run: str, options: str
) -> None:
    progress = old / run / "checkpoint" / "progress.json"
    told = json.loads(progress.read_text(encoding="utf-8"))
    assert told["epoch"] == 2
    arguments = options.format(old=old).split()
    done = script("train.py", "--data", old / "data", "--output", old / run, "--resume", *arguments)
    assert done.returncode == 0, done.stderr
    # Weights are saved in half precision.
    np.testing.assert_allclose(magnitudes(old / run), expected[run], rtol=5e-3)


def test_a_trained_model_says_the_same(old: Path, expected: dict) -> None:
    photos = [old / "Flicker8k_Dataset" / name for name in expected["captions"]]
    captions = {found.image.name: found.caption for found in load(old / "model").caption(photos)}
    assert captions == expected["captions"]
