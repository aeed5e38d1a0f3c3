"""Flickr8k's photos in Flickr30k: noticed, told, and left out by their ids."""

from pathlib import Path

import pytest
from PIL import Image

from captioning.commands import features
from captioning.commands.evaluate import drop_photos
from captioning.data.dataset import dataset_of
from captioning.data.flickr8k_photos import (
    names_elsewhere,
    overlap_note,
    photo_id,
    read_flickr8k_names,
    wanted_flickr8k_names,
    without_flickr8k,
)
from captioning.data.recognise import open_dataset
from captioning.errors import CaptioningError
from captioning.evaluation.overlap import refuse_overlap
from captioning.inference.trained_on import trained_on, write_trained_on

IN_8K = [f"10002682{n:02}_693b08cb0{n % 10}.jpg" for n in range(20)]
IN_30K = [f"10002682{n:02}.jpg" for n in range(40)]


@pytest.fixture
def flickr8k(tmp_path: Path) -> Path:
    """Flickr8k's text files."""
    text = tmp_path / "Flickr_8k_text"
    text.mkdir()
    rows = "".join(f"{name}#0\ta dog\n" for name in IN_8K[:15])
    (text / "Flickr8k.token.txt").write_text(rows)
    (text / "Flickr_8k.testImages.txt").write_text("\n".join(IN_8K[10:]))
    return text


@pytest.fixture
def flickr30k(tmp_path: Path) -> Path:
    """A folder as Flickr30k's."""
    folder = tmp_path / "flickr30k"
    (folder / "images").mkdir(parents=True)
    for name in IN_30K:
        Image.new("RGB", (8, 8)).save(folder / "images" / name)
    rows = "".join(f"{name}#0\ta dog runs\n" for name in IN_30K)
    (folder / "results_20130124.token").write_text(rows)
    return folder


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("1000268201_693b08cb0e.jpg", "1000268201"),
        ("1000268201.jpg", "1000268201"),
        ("photos/1000268201.JPG#4", "1000268201"),
        ("1000268201", "1000268201"),
        ("COCO_train2014_000000391895.jpg", ""),
        ("dog.jpg", ""),
        ("1.jpg", ""),
    ],
)
def test_the_id_of_a_photo_is_in_its_name(name: str, number: str) -> None:
    assert photo_id(name) == number


def test_the_photos_are_found_noted_and_left_out(flickr8k: Path, flickr30k: Path) -> None:
    names = read_flickr8k_names(flickr8k)
    assert sorted(names.values()) == sorted(IN_8K)  # of the captions, and of the lists
    source = open_dataset(flickr30k)
    dataset = dataset_of(source)
    assert overlap_note(source.files, dataset.photos, names).startswith("20 photos are Flickr8k's")
    assert "holds every photo of Flickr8k" in overlap_note(source.files, dataset.photos, {})
    assert overlap_note([], IN_8K, names) == ""  # Flickr8k itself
    assert overlap_note([], ["dog.jpg"], names) == ""
    rest = dataset_of(without_flickr8k(open_dataset(flickr30k), names))
    assert sorted(Path(name).name for name in rest.photos) == IN_30K[20:]
    assert {Path(name).name for name in rest.captions} == set(IN_30K[20:])


def test_without_its_lists_it_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(CaptioningError, match="--download, or name their folder"):
        wanted_flickr8k_names(tmp_path)


def test_features_says_so_and_leaves_them_out(
    flickr8k: Path,
    flickr30k: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(flickr8k.parent)
    written: list[int] = []
    monkeypatch.setattr(
        features, "write_files", lambda options, dataset, like: written.append(len(dataset.photos))
    )
    command = ["--data", str(flickr30k), "--output", "out", "--encoder", "mini-xception"]
    assert features.main(command) == 0
    assert "note: 20 photos are Flickr8k's, by their ids" in capsys.readouterr().err
    assert features.main([*command, "--exclude-flickr8k"]) == 0
    told = capsys.readouterr().err
    assert "note:" not in told and "read as flickr30k" in told
    assert written == [40, 20]


def test_a_model_trained_on_one_has_seen_the_others_photos(
    flickr8k: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = read_flickr8k_names(flickr8k)
    assert names_elsewhere(IN_8K[0], {}) == {IN_30K[0]}
    assert names_elsewhere(IN_30K[0], names) == {IN_8K[0]}
    write_trained_on(tmp_path, IN_30K[:5], {})
    assert trained_on(tmp_path, IN_8K) == set(IN_8K[:5])
    write_trained_on(tmp_path, IN_8K[:5], {})
    assert trained_on(tmp_path, IN_30K) == set(IN_30K[:5])
    # Files of models that noted Flickr8k's names alone.
    lines = [line.split()[0] for line in (tmp_path / "trained_on.txt").read_text().splitlines()]
    (tmp_path / "trained_on.txt").write_text("\n".join(lines))
    assert trained_on(tmp_path, IN_30K) == set()
    assert trained_on(tmp_path, IN_30K, None, names) == set(IN_30K[:5])
    monkeypatch.chdir(flickr8k.parent)
    with pytest.raises(CaptioningError, match="5 photos .*--exclude-flickr8k leaves them out"):
        refuse_overlap(IN_30K, "test", tmp_path, [])


def test_evaluate_drops_them_and_says_how_many(
    flickr8k: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    names = read_flickr8k_names(flickr8k)
    monkeypatch.chdir(flickr8k.parent)
    splits = {"test": list(IN_30K)}
    drop_photos(splits, "test", {})
    assert splits == {"test": IN_30K}
    assert "note: 20 photos are Flickr8k's" in capsys.readouterr().err
    drop_photos(splits, "test", names)
    assert splits == {"test": IN_30K[20:]}
    assert "20 photos of the test split are Flickr8k's" in capsys.readouterr().err
    with pytest.raises(CaptioningError, match="all 20 photos of the test split are Flickr8k's"):
        drop_photos({"test": IN_8K}, "test", names)
