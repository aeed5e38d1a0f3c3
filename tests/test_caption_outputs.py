"""What the caption command writes: marks, sidecars, described copies, attention."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pyexiv2
import pytest
from PIL import Image

from captioning import load
from captioning.evaluation.scores import score_captions
from captioning.output.confidence import least_confident
from tests.conftest import BLOCK13, ROOT, Run


def test_the_unsure_are_those_of_the_lowest_scores(
    run_caption: Run, nested_photos: Path, tmp_path: Path
) -> None:
    arguments = ("-i", nested_photos, "--recursive", "--unsure", 0.2)
    rows = [
        json.loads(line) for line in run_caption(*arguments, "--format", "jsonl")[1].splitlines()
    ]
    assert len(rows) == 121
    assert sum(row["unsure"] for row in rows) == 24
    least = max(row["score"] for row in rows if row["unsure"])
    assert all(row["score"] >= least for row in rows if not row["unsure"])
    unsure = {row["image"] for row in rows if row["unsure"]}
    table = list(
        csv.DictReader(io.StringIO(run_caption(*arguments, "--format", "csv")[1], newline=""))
    )
    assert {row["image"] for row in table if row["unsure"] == "yes"} == unsure
    assert sum(row["unsure"] == "no" for row in table) == 97
    text = run_caption(*arguments)[1].splitlines()
    assert sum(line.endswith("\tunsure") for line in text) == 24
    run_caption(*arguments, "-o", tmp_path / "c.html")
    page = (tmp_path / "c.html").read_text()
    assert page.count('<figure class="unsure"') == page.count("<strong>unsure:</strong>") == 24


def test_sidecars_beside_photos_and_elsewhere(
    run_caption: Run, nested_photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(nested_photos, folder)
    rows = [
        json.loads(line)
        for line in run_caption("-i", folder, "--recursive", "--format", "jsonl")[1].splitlines()
    ]
    said = {Path(row["image"]): row["caption"] for row in rows}
    code, printed, _ = run_caption("-i", folder, "--recursive", "--format", "sidecar")
    assert (code, printed) == (1, "")
    elsewhere = tmp_path / "out"
    assert run_caption("-i", folder, "--recursive", "--format", "sidecar", "-o", elsewhere)[0] == 1
    for photo, caption in said.items():
        beside = photo.with_name(photo.name + ".txt")
        assert beside.read_text() == caption + "\n"
        assert (elsewhere / beside.relative_to(folder)).read_text() == caption + "\n"
    assert len(list(folder.rglob("*.txt"))) == len(list(elsewhere.rglob("*.txt"))) == len(said)
    beside.write_text("my own words")
    code, _, messages = run_caption("-i", folder, "--recursive", "--format", "sidecar")
    assert code == 2
    assert "--overwrite" in messages
    assert run_caption("-i", folder, "--recursive", "--format", "sidecar", "--resume")[0] == 1
    assert beside.read_text() == "my own words"


def test_copies_carry_captions_and_photos_stay(
    run_caption: Run, odd_photos: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in odd_photos.iterdir()}
    code, printed, messages = run_caption(
        "-i", odd_photos, "--embed", tmp_path / "out", "--format", "jsonl"
    )
    assert code == 1
    assert (
        "skipped " + str(odd_photos / "palette.gif") + ": not written, it can't carry" in messages
    )
    assert {path: path.read_bytes() for path in odd_photos.iterdir()} == before
    rows = map(json.loads, printed.splitlines())
    said = {Path(row["image"]).name: row["caption"] for row in rows}
    assert set(said) - {path.name for path in (tmp_path / "out").iterdir()} == {"palette.gif"}
    for copy in (tmp_path / "out").iterdir():
        with pyexiv2.ImageData(copy.read_bytes()) as image:
            assert image.read_xmp()["Xmp.dc.description"] == {'lang="x-default"': said[copy.name]}


def test_attention_of_a_photo_as_a_picture(
    run_caption: Run, grids_models: dict[str, Path], odd_photos: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "a.png"
    arguments = (
        "-i",
        odd_photos / "colour.png",
        "--model",
        grids_models["attention"],
        "--attention",
    )
    code, printed, _ = run_caption(*arguments, picture)
    assert code == 0
    assert printed.strip()
    with Image.open(picture) as drawn:
        assert drawn.width > 300
    code, _, messages = run_caption(*arguments, picture)
    assert code == 2
    assert "exists already" in messages
    assert "does not end in .png" in run_caption(*arguments, tmp_path / "a.jpg")[2]
    several = run_caption(*arguments, tmp_path / "b.png", "-i", odd_photos)
    assert several[0] == 2
    assert "a single photo" in several[2]


@pytest.mark.flickr8k
def test_captions_marked_unsure_score_markedly_lower(shared: Path) -> None:
    text = shared / "flickr8k" / "Flickr_8k_text"
    names = (text / "Flickr_8k.devImages.txt").read_text().split()[:100]
    references: dict[str, list[str]] = {name: [] for name in names}
    for line in (text / "Flickr8k.token.txt").read_text(encoding="utf-8").splitlines():
        name, caption = line.split("\t")
        if name.split("#")[0] in references:
            references[name.split("#")[0]].append(
                " ".join(word for word in caption.lower().split() if word.isalpha())
            )
    captioner = load(ROOT / "models" / "flickr8k-merge", weights=str(BLOCK13))
    photos = [shared / "flickr8k" / "Flicker8k_Dataset" / name for name in names]
    found = {c.image.name: c for c in captioner.caption(photos)}
    cider = score_captions(
        {name: c.caption for name, c in found.items()}, references, meteor=False
    ).cider
    marks = least_confident([found[name].score for name in names], 0.2)
    means = [
        np.mean([cider[n] for n, m in zip(names, marks, strict=True) if m is mark])
        for mark in (True, False)
    ]
    assert means[0] < 0.6 * means[1]
