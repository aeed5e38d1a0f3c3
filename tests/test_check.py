"""features.py --check: every fault that is planted is found, and nothing in sound data."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from captioning.data.checks import check_data
from captioning.data.duplicates import perceptual_hash
from tests.conftest import script


def found(folder: Path, **options: int) -> dict[str, tuple[bool, list[str]]]:
    """What the check finds: {what: (whether it harms, names)}."""
    report = check_data(folder / "Flicker8k_Dataset", folder / "Flickr_8k_text", **options)
    return {finding.what: (finding.harms, finding.names) for finding in report.findings}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """24 photos, all different: 16 to train, 4 dev, 4 test."""
    images, text = tmp_path / "Flicker8k_Dataset", tmp_path / "Flickr_8k_text"
    images.mkdir()
    text.mkdir()
    rows = []
    generator = np.random.default_rng(1)
    for number in range(24):
        coarse = generator.integers(0, 256, (9, 9, 3), np.uint8)
        photo = Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC)
        photo.save(images / f"{number}.jpg", quality=92)
        rows += [f"{number}.jpg#0\tA dog runs .", f"{number}.jpg#1\tThe dog number {number} ."]
    (text / "Flickr8k.token.txt").write_text("\n".join(rows) + "\n")
    for split, numbers in (("train", range(16)), ("dev", range(16, 20)), ("test", range(20, 24))):
        listed = "".join(f"{number}.jpg\n" for number in numbers)
        (text / f"Flickr_8k.{split}Images.txt").write_text(listed)
    return tmp_path


def test_sound_data_has_no_findings(dataset: Path) -> None:
    assert found(dataset, min_count=1) == {}
    done = script(
        "features.py",
        "--check",
        "--images",
        dataset / "Flicker8k_Dataset",
        "--text",
        dataset / "Flickr_8k_text",
    )
    assert done.returncode == 0, done.stderr
    assert "24 photos, 48 captions; listed: train 16, dev 4, test 4" in done.stdout
    assert "nothing would harm a result" in done.stdout


def test_every_fault_is_found_and_told_as_json(dataset: Path, tmp_path: Path) -> None:
    images, text = dataset / "Flicker8k_Dataset", dataset / "Flickr_8k_text"
    (images / "1.jpg").unlink()
    (images / "2.jpg").write_text("no image")
    shutil.copy(images / "3.jpg", images / "17.jpg")
    shutil.copy(images / "4.jpg", images / "5.jpg")
    with Image.open(images / "6.jpg") as photo:
        brighter = ImageEnhance.Brightness(photo.resize((200, 150))).enhance(1.02)
        brighter.save(images / "21.jpg", quality=70)
    Image.new("RGB", (9, 9)).save(images / "silent.png")
    with (text / "Flickr8k.token.txt").open("ab") as file:
        file.write(b"7.jpg#2\tA dog runs .\n8.jpg#2\t...\ngone.jpg#0\tNo photo .\n")
        file.write("9.jpg#2\tA café .\n".encode("latin-1"))
        file.write(b"a broken row\n")
    with (text / "Flickr_8k.devImages.txt").open("a") as file:
        file.write("10.jpg\n")
    done = script(
        "features.py",
        "--check",
        "--format",
        "json",
        "--images",
        images,
        "--text",
        text,
        "--min-count",
        2,
    )
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["harms"] is True
    seen = {f["what"]: (f["harms"], f["names"]) for f in report["findings"]}
    assert seen == {
        "lines of Flickr8k.token.txt that are not UTF-8": (True, ["line 52"]),
        "lines of Flickr8k.token.txt that are no name and caption": (True, ["line 53"]),
        "photos in two splits": (True, ["10.jpg"]),
        "photos of train that are missing": (True, ["1.jpg"]),
        "unreadable photos": (True, ["2.jpg (not an image of a supported format)"]),
        "byte-identical photos in train and dev or test": (True, ["17.jpg = 3.jpg"]),
        "byte-identical photos": (False, ["4.jpg = 5.jpg"]),
        "near-duplicate photos in train and dev or test": (True, ["6.jpg ~ 21.jpg"]),
        "captions without photo": (False, ["1.jpg", "gone.jpg"]),
        "photos without captions": (False, ["silent.png"]),
        "empty captions": (False, ["8.jpg"]),
        "captions repeated for one photo": (False, ["7.jpg"]),
    }
    assert report["splits"] == {"train": 16, "dev": 5, "test": 4}
    text_report = script("features.py", "--check", "--images", images, "--text", text)
    assert text_report.returncode == 1
    for what in seen:
        assert what in text_report.stdout
    assert text_report.stdout.index("HARMS") < text_report.stdout.index("note ")


def test_corrections_are_checked_too(dataset: Path) -> None:
    text = dataset / "Flickr_8k_text"
    (text / "Flickr8k.token.txt").unlink()
    rows = [json.dumps({"image": f"{n}.jpg", "caption": f"dog {n}"}) for n in range(23)]
    (text / "corrections.jsonl").write_text("\n".join([*rows, '{"image": "23.jpg"}']))
    findings = found(dataset)
    assert findings["lines of corrections.jsonl that are no name and caption"] == (
        True,
        ["line 24"],
    )
    assert findings["photos without captions"] == (False, ["23.jpg"])


def test_tables_and_missing_lists_are_checked_too(dataset: Path) -> None:
    text = dataset / "Flickr_8k_text"
    (text / "Flickr_8k.devImages.txt").unlink()
    assert "split lists that can't be used" in found(dataset)
    for file in text.iterdir():
        file.unlink()
    rows = "".join(f'{number}.jpg,"A dog, {number}"\n' for number in range(24))
    (text / "captions.txt").write_text("image,caption\n" + rows + "only one column\n")
    assert found(dataset) == {
        "lines of captions.txt that are no name and caption": (True, ["line 26"])
    }


def test_the_vocabulary_of_train_is_held_against_dev(dataset: Path) -> None:
    report = check_data(dataset / "Flicker8k_Dataset", dataset / "Flickr_8k_text")
    # dev: 4 photos of "a dog runs" and "the dog number N"; only the four numbers are unknown.
    assert report.coverage == {
        "words": 28,
        "words_known": 24 / 28,
        "different": 9,
        "different_unknown": 4,
    }


def test_the_hash_sees_through_size_and_quality_but_not_through_content(dataset: Path) -> None:
    images = sorted((dataset / "Flicker8k_Dataset").iterdir())
    hashes = [perceptual_hash(Image.open(path)) for path in images]
    apart = [(a != b).sum() for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(apart) > 60
    with Image.open(images[0]) as photo:
        assert (perceptual_hash(photo.resize((90, 70))) != hashes[0]).sum() < 16


def test_check_wants_its_folders(tmp_path: Path) -> None:
    done = script("features.py", "--check", "--images", tmp_path / "none", "--text", tmp_path)
    assert done.returncode == 2
    assert "folder of photos" in done.stderr


@pytest.mark.flickr8k
def test_the_real_flickr8k_has_nothing_that_harms(shared: Path) -> None:
    folder = shared / "flickr8k"
    report = check_data(folder / "Flicker8k_Dataset", folder / "Flickr_8k_text")
    assert not report.harms, report.as_text()
    assert report.captions == 35_460
    kinds = {finding.what: len(finding.names) for finding in report.findings}
    assert kinds["byte-identical photos"] == 1
    assert kinds["captions without photo"] == 2
    assert 0.96 < report.coverage["words_known"] < 0.98
