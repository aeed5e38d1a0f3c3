"""The standalone script: formats, exit codes, bad photos, broken model folders."""

import csv
import io
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioning import load
from captioning.captioner import choose_model
from captioning.errors import CaptioningError
from captioning.evaluation import caption_photos
from captioning.prepare import read_prepared
from tests.conftest import script


@pytest.fixture(scope="module")
def photos(scenes_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scenes as odd files, and one that is no image."""
    folder = tmp_path_factory.mktemp("photos")
    scenes = sorted((scenes_folder / "Flicker8k_Dataset").iterdir())
    image = Image.open(scenes[0])
    image.save(folder / "colour.png")
    image.convert("L").save(folder / "gray.jpg")
    image.convert("P").save(folder / "palette.gif")
    image.convert("RGBA").save(folder / "-dash and space.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png", exif=exif)
    (folder / "notes.txt").write_text("not for captioning")
    (folder / "broken.jpg").write_text("no image")
    return folder


def test_one_photo_one_line(model_folder: Path, photos: Path) -> None:
    done = script("caption_generator.py", "--model", model_folder, "-i", photos / "colour.png")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert done.stdout.split()
    assert "<" not in done.stdout
    assert done.stderr == ""


def test_a_folder_with_a_bad_file(model_folder: Path, photos: Path) -> None:
    done = script(
        "caption_generator.py", "--model", model_folder, "-i", photos, "--format", "jsonl",
        "--beam", 3, "--top", 2,
    )
    assert done.returncode == 1
    assert "broken.jpg: not an image" in done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    captions = {Path(row["image"]).name: row for row in rows}
    assert set(captions) == {
        "colour.png", "gray.jpg", "palette.gif", "-dash and space.png", "turned.png"
    }
    colour = captions["colour.png"]
    assert captions["turned.png"]["caption"] == colour["caption"]
    assert captions["-dash and space.png"]["score"] == pytest.approx(colour["score"], abs=1e-3)
    assert colour["captions"][0]["caption"] == colour["caption"]
    assert len(colour["captions"]) == 2
    assert colour["score"] < 0


def test_a_single_file_that_is_no_image(model_folder: Path, photos: Path) -> None:
    done = script("caption_generator.py", "--model", model_folder, "-i", photos / "broken.jpg")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "broken.jpg: not an image" in done.stderr


def test_csv_and_text_of_several(model_folder: Path, photos: Path) -> None:
    files = [photos / "colour.png", photos / "gray.jpg"]
    done = script("caption_generator.py", "--model", model_folder, "-i", *files, "--format", "csv")
    table = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["image"] for row in table] == list(map(str, files))
    assert all(row["caption"] and float(row["score"]) < 0 for row in table)
    done = script("caption_generator.py", "--model", model_folder, "-i", *files)
    assert [line.split("\t")[1] for line in done.stdout.splitlines()] == [
        row["caption"] for row in table
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-i", "nowhere.jpg"], "no file nowhere.jpg"),
        (["-i", "x.jpg", "--beam", "0"], "--beam 0"),
        (["-i", "x.jpg", "--top", "2"], "jsonl"),
        (["-i", "x.jpg", "--model", "nowhere"], "folder nowhere is missing"),
        (["-i", "x.jpg", "--weights", "none.h5"], "none.h5 is missing"),
        ([], "required"),
    ],
)
def test_wrong_arguments_end_soon_in_a_message(
    model_folder: Path, arguments: list[str], message: str
) -> None:
    model = [] if "--model" in arguments else ["--model", model_folder]
    began = time.monotonic()
    done = script("caption_generator.py", *model, *arguments)
    assert time.monotonic() - began < 1.5
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "name", ["features.py", "train.py", "caption_generator.py", "demo.py", "evaluate.py"]
)
def test_help_comes_at_once(name: str) -> None:
    began = time.monotonic()
    done = script(name, "--help")
    assert done.returncode == 0
    assert time.monotonic() - began < 1


def test_python_and_script_say_the_same(
    model_folder: Path, data_folder: Path, scenes_folder: Path
) -> None:
    captioner = load(model_folder)
    prepared = read_prepared(data_folder)
    stored = caption_photos(captioner, prepared, prepared.splits["test"], beam=1)
    photos = [scenes_folder / "Flicker8k_Dataset" / name for name in stored]
    fresh = {c.image.name: c.caption for c in captioner.caption(photos)}
    same = np.mean([fresh[name] == caption for name, (caption, _) in stored.items()])
    assert same >= 0.9  # a rounding apart, the vectors are the same


@pytest.mark.parametrize("part", ["model.keras", "captioner.json"])
def test_a_folder_with_a_part_missing_or_damaged(
    model_folder: Path, photos: Path, tmp_path: Path, part: str
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(model_folder, folder)
    (folder / part).write_text("{")
    done = script("caption_generator.py", "--model", folder, "-i", photos / "colour.png")
    assert done.returncode == 2
    assert part in done.stderr
    assert "Traceback" not in done.stderr
    (folder / part).unlink()
    done = script("caption_generator.py", "--model", folder, "-i", photos / "colour.png")
    assert done.returncode == 2
    assert f"lacks {part}" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about: about["words"].pop(), "words apart"),
        (lambda about: about["encoder"].update(resize="nearest"), "resize 'nearest'"),
        (lambda about: about["encoder"].update(weights="0" * 16), "fingerprint"),
        (lambda about: about["cleaning"].update(lower=False), "cleaned by"),
        (lambda about: about.pop("max_length"), "'max_length' is missing"),
    ],
)
def test_parts_that_do_not_fit_are_named(
    model_folder: Path, photos: Path, tmp_path: Path, change: object, message: str
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(model_folder, folder)
    about = json.loads((folder / "captioner.json").read_text())
    change(about)
    (folder / "captioner.json").write_text(json.dumps(about))
    with pytest.raises(CaptioningError, match=message):
        list(load(folder).caption([photos / "colour.png"]))


def test_the_model_trained_last_is_chosen_and_the_demo_is_the_last_resort(
    model_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(CaptioningError, match="no trained model"):
        choose_model(tmp_path)
    years = {"demo": "2029", "flickr8k": "2028", "mine": "2025", "later": "2026"}
    for name, year in years.items():
        shutil.copytree(model_folder, tmp_path / name)
        about = json.loads((tmp_path / name / "captioner.json").read_text())
        about["trained_at"] = f"{year}-01-01T00:00:00+00:00"
        (tmp_path / name / "captioner.json").write_text(json.dumps(about))
    for name in ("later", "mine", "flickr8k", "demo"):
        assert choose_model(tmp_path).name == name
        shutil.rmtree(tmp_path / name)


def test_a_trained_model_is_not_overwritten_unasked(
    model_folder: Path, data_folder: Path
) -> None:
    before = (model_folder / "captioner.json").read_bytes()
    done = script("train.py", "--data", data_folder, "--output", model_folder, "--epochs", 1)
    assert done.returncode == 2
    assert "--overwrite" in done.stderr
    assert (model_folder / "captioner.json").read_bytes() == before


def test_banned_words_are_never_said_and_captions_stay_short(
    model_folder: Path, data_folder: Path
) -> None:
    captioner = load(model_folder)
    vectors = read_prepared(data_folder).features.matrix(
        read_prepared(data_folder).splits["test"]
    )
    free = [captioner.text(h[0]) for h in captioner.describe(vectors, beam=3)]
    word = free[0].split()[-1]
    for beam in (1, 3):
        found = captioner.describe(vectors, beam=beam, ban=[word.upper()], max_words=4)
        captions = [captioner.text(h[0]).split() for h in found]
        assert all(word not in caption and 1 <= len(caption) <= 4 for caption in captions)
