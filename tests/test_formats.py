"""Datasets in every format: recognised, read the same, refused by place; photos inside of files."""

import argparse
import io
import json
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

from captioning.commands import features
from captioning.commands.run import run_main
from captioning.data.captions import open_folders
from captioning.data.checks import check_source
from captioning.data.dataset import Dataset, dataset_of
from captioning.data.prepared import write_text_files
from captioning.data.recognise import format_names, open_dataset
from captioning.data.source import Columns
from captioning.data.text import CLEANING, FIRST_CLEANING
from captioning.errors import CaptioningError
from captioning.vision.extraction import extract_features
from captioning.vision.images import load_array
from tests.conftest import ROOT
from tests.datasets import (
    CAPTIONS,
    CLEAN,
    PHOTOS,
    SPLITS,
    WRITERS,
    photo_bytes,
    save_to_disk,
    table,
    write_photos,
)
from tests.runs import CountingEncoder


def read(folder: Path, **options: object) -> Dataset:
    """The dataset in a folder."""
    return dataset_of(open_dataset(folder, **options))


def plain(names: dict[str, list[str]]) -> dict[str, list[str]]:
    """Captions by the last part of the photos' names."""
    return {Path(name).name: captions for name, captions in names.items()}


@pytest.mark.parametrize("what", WRITERS)
def test_every_format_is_recognised_and_gives_the_same(what: str, tmp_path: Path) -> None:
    name, write = WRITERS[what]
    write(tmp_path)
    dataset = read(tmp_path)
    assert dataset.found.startswith(f"read as {name}: {tmp_path}")
    assert plain(dataset.captions) == CLEAN
    splits = {s: {Path(n).name for n in names} for s, names in dataset.splits.items()}
    assert splits == {split: set(names) for split, names in SPLITS.items()}
    assert sorted(Path(n).name for n in dataset.photos) == sorted(PHOTOS)
    for photo in dataset.photos:
        assert dataset.photo(photo).read_bytes() == photo_bytes(Path(photo).name)
        assert load_array(dataset.photo(photo), 32).shape == (32, 32, 3)
    assert "12 photos, 24 captions; in a split: train 8, dev 2, test 2" in dataset.report()
    # Named, it is the same; and the check reads it as well.
    assert plain(read(tmp_path, name=name).captions) == CLEAN
    report = check_source(open_dataset(tmp_path), min_count=1)
    assert not report.harms, report.as_text()
    assert (report.photos, report.captions) == (12, 24)


@pytest.mark.parametrize("what", ["webdataset", "Parquet", "huggingface", "folder"])
def test_photos_are_encoded_where_they_are(what: str, tmp_path: Path) -> None:
    WRITERS[what][1](tmp_path / "data")
    dataset = read(tmp_path / "data")
    encoder = CountingEncoder()
    vectors = extract_features(encoder, dataset.photo, dataset.photos, tmp_path / "out").vectors
    files = write_photos(tmp_path / "photos")
    expected = extract_features(CountingEncoder(), files, PHOTOS, tmp_path / "other").vectors
    assert {Path(name).name: list(v[0]) for name, v in vectors.items()} == {
        name: list(v[0]) for name, v in expected.items()
    }
    # Nothing changed: nothing is encoded again.
    extract_features(encoder, dataset.photo, dataset.photos, tmp_path / "out")
    assert encoder.encoded == 12


def test_the_columns_of_a_table_can_be_named(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")
    rows = "".join(
        f"{n};{i};dog {i};a cat;{'val' if i > 9 else 'train'}\n" for i, n in enumerate(PHOTOS)
    )
    (tmp_path / "mine.csv").write_text("which;id;one;two;part\n" + rows)
    with pytest.raises(CaptioningError, match="line 1.*of the images; name it with --image-column"):
        read(tmp_path)
    columns = Columns("which", ("one", "two"), "part")
    dataset = read(tmp_path, columns=columns)
    assert plain(dataset.captions)["1.jpg"] == ["dog 0", "a cat"]
    assert {split: len(names) for split, names in dataset.splits.items()} == {"train": 10, "dev": 2}
    with pytest.raises(CaptioningError, match="no column 'three' among 'which', 'id'"):
        read(tmp_path, columns=columns._replace(captions=("three",)))


def test_columns_caption_0_to_caption_4_are_all_taken(tmp_path: Path) -> None:
    write_photos(tmp_path)
    rows = "".join(f"{name},a dog,a cat\n" for name in PHOTOS)
    (tmp_path / "mine.csv").write_text("image,caption_0,caption_1\n" + rows)
    assert read(tmp_path).captions["1.jpg"] == ["a dog", "a cat"]


def test_a_folder_that_may_be_two_lists_what_was_seen(tmp_path: Path) -> None:
    WRITERS["kaggle"][1](tmp_path)
    (tmp_path / "Images" / "1.txt").write_text("a dog\n")
    table(tmp_path / "more")
    told = r"3 ways: folder \(Images/1.txt\); kaggle \(captions.txt\); table \(more/my.csv\).*"
    with pytest.raises(CaptioningError, match=told + "--data-format"):
        read(tmp_path)
    assert len(read(tmp_path, name="kaggle", images=tmp_path / "Images").captions) == 12


def test_a_folder_without_captions_says_what_was_seen_and_looked_for(tmp_path: Path) -> None:
    write_photos(tmp_path)
    (tmp_path / "notes.md").write_text("")
    with pytest.raises(CaptioningError, match="12 photos and notes.md; looked for coco") as told:
        read(tmp_path)
    assert all(name in str(told.value) for name in format_names())
    with pytest.raises(CaptioningError, match="nowhere is missing"):
        read(tmp_path / "nowhere")


def test_several_datasets_of_karpathy_want_one_to_be_named(tmp_path: Path) -> None:
    WRITERS["karpathy"][1](tmp_path)
    shutil.copy(tmp_path / "dataset_flickr8k.json", tmp_path / "dataset_coco.json")
    with pytest.raises(CaptioningError, match="2 datasets: dataset_coco.json, dataset_flickr8k"):
        read(tmp_path)
    images = tmp_path / "flickr8k"
    dataset = read(tmp_path / "dataset_coco.json", images=images)
    assert dataset.captions == CLEAN
    (tmp_path / "dataset_coco.json").rename(tmp_path / "other.json")
    assert read(tmp_path / "other.json", name="karpathy", images=images).captions == CLEAN


def test_a_photo_in_two_splits_is_told(tmp_path: Path) -> None:
    table(tmp_path)
    with (tmp_path / "my.csv").open("a") as file:
        file.write("1.jpg,a dog again,dev\n")
    assert "photos in two splits: 1 (photos/1.jpg)" in read(tmp_path).report()
    report = check_source(open_dataset(tmp_path))
    assert [f.names for f in report.findings if f.what == "photos in two splits"] == [
        ["photos/1.jpg"]
    ]


def test_tables_in_folders_of_splits_are_one_dataset(tmp_path: Path) -> None:
    for split, names in SPLITS.items():
        write_photos(tmp_path / split)
        rows = "".join(f"{name},a dog number {name[:-4]}\n" for name in names)
        (tmp_path / split / "metadata.csv").write_text("file_name,text\n" + rows)
    dataset = read(tmp_path)
    assert dataset.splits == {s: [f"{s}/{n}" for n in names] for s, names in SPLITS.items()}
    assert dataset.captions["dev/9.jpg"] == ["a dog number 9"]


def test_the_tables_beside_shards_are_the_shards_own(tmp_path: Path) -> None:
    WRITERS["webdataset"][1](tmp_path)
    for shard in list(tmp_path.glob("*.tar")):
        shard.with_suffix(".parquet").write_text("of img2dataset, not read")
    assert plain(read(tmp_path).captions) == CLEAN


def test_ids_of_coco_may_be_numbers_or_texts(tmp_path: Path) -> None:
    WRITERS["coco"][1](tmp_path)
    for path in (tmp_path / "annotations").iterdir():
        content = json.loads(path.read_text())
        for image in content["images"]:
            image["id"] = str(image["id"])
        path.write_text(json.dumps(content))
    assert plain(read(tmp_path).captions) == CLEAN


def test_a_table_in_two_folders_is_two_datasets(tmp_path: Path) -> None:
    for part in ("one", "two"):
        WRITERS["kaggle"][1](tmp_path / part)
    with pytest.raises(CaptioningError, match="2 datasets: one/captions.txt, two/captions.txt"):
        read(tmp_path)
    assert read(tmp_path / "two" / "captions.txt").captions.keys() == {
        f"Images/{name}" for name in PHOTOS
    }


def test_captions_that_are_all_too_long_say_so(tmp_path: Path) -> None:
    write_photos(tmp_path)
    (tmp_path / "my.csv").write_text(f"image,caption\n1.jpg,{'dog ' * 200}\n")
    with pytest.raises(CaptioningError, match="more than 100 words.*--max-words"):
        read(tmp_path)


def test_a_dataset_without_dev_gets_one_of_train(tmp_path: Path) -> None:
    table(tmp_path)
    rows = (tmp_path / "my.csv").read_text().replace(",dev", ",train")
    (tmp_path / "my.csv").write_text(rows)
    splits = read(tmp_path).splits
    assert len(splits["dev"]) >= 1 and len(splits["train"]) + len(splits["dev"]) == 10
    assert [Path(name).name for name in splits["test"]] == SPLITS["test"]
    # One split for all tells nothing; a name of none is said.
    (tmp_path / "my.csv").write_text(rows.replace(",test", ",train"))
    assert "no split lists, split by name" in read(tmp_path).report()
    (tmp_path / "my.csv").write_text(rows.replace(",test", ",third part"))
    assert "aren't train, dev or test: 1 (third part)" in read(tmp_path).report()


def arrow(rows: list[dict]) -> object:
    """A table of rows."""
    import pyarrow

    return pyarrow.Table.from_pylist(rows)


def test_photos_without_a_path_are_called_as_a_column_says(tmp_path: Path) -> None:
    rows = [
        {"image": {"bytes": photo_bytes(name)}, "caption": CAPTIONS[name], "filename": name}
        for name in PHOTOS
    ]
    save_to_disk(tmp_path, [arrow(rows)])
    dataset = read(tmp_path)
    assert dataset.captions == CLEAN
    assert "aren't train, dev or test" not in dataset.report()  # the folder's name is no split


def test_photos_without_any_name_are_kept_apart_in_three_splits(tmp_path: Path) -> None:
    for split, names in SPLITS.items():
        rows = [{"image": {"bytes": photo_bytes(n)}, "caption": CAPTIONS[n]} for n in names]
        save_to_disk(tmp_path / split, [arrow(rows)])
    (tmp_path / "dataset_dict.json").write_text("{}")
    dataset = read(tmp_path)
    assert len(dataset.photos) == 12
    assert {s: len(names) for s, names in dataset.splits.items()} == {
        "train": 8,
        "dev": 2,
        "test": 2,
    }
    for name, captions in dataset.captions.items():
        number = PHOTOS.index(f"{captions[0].split()[-1]}.jpg")
        assert dataset.photo(name).read_bytes() == photo_bytes(PHOTOS[number])


@pytest.mark.parametrize("what", ["huggingface", "Parquet"])
def test_a_name_that_a_file_has_several_times_is_one_photo_if_they_are_alike(
    what: str, tmp_path: Path
) -> None:
    def row(name: str, photo: str) -> dict:
        caption = f"a dog number {photo[:-4]}"
        return {"image": {"bytes": photo_bytes(photo), "path": name}, "caption": caption}

    # cats/1.jpg and dogs/1.jpg, of which `datasets` keeps 1.jpg, and the first one twice.
    rows = [
        row("1.jpg", "1.jpg"),
        row("2.jpg", "2.jpg"),
        row("1.jpg", "3.jpg"),
        row("1.jpg", "1.jpg"),
    ]
    if what == "huggingface":
        save_to_disk(tmp_path, [arrow(rows[:3]), arrow(rows[2:])])
    else:
        from pyarrow.parquet import write_table

        write_table(arrow(rows), tmp_path / "a.parquet", row_group_size=2)
    dataset = read(tmp_path)
    assert len(dataset.photos) == 3
    for name, captions in dataset.captions.items():
        photo = f"{captions[0].split()[-1]}.jpg"
        assert dataset.photo(name).read_bytes() == photo_bytes(photo)
        assert set(captions) == {f"a dog number {photo[:-4]}"}


@pytest.mark.parametrize("ending", ["jsonl", "arrow"])
def test_captions_may_be_objects_with_their_text(ending: str, tmp_path: Path) -> None:
    sentences = {n: [{"raw": c, "tokens": c.split()} for c in CAPTIONS[n]] for n in PHOTOS}
    if ending == "jsonl":
        write_photos(tmp_path)
        rows = ({"filename": name, "sentences": own} for name, own in sentences.items())
        (tmp_path / "my.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        image = {name: {"bytes": photo_bytes(name), "path": name} for name in PHOTOS}
        rows = [{"image": image[name], "sentences": own} for name, own in sentences.items()]
        save_to_disk(tmp_path, [arrow(rows)])
    assert read(tmp_path).captions == CLEAN


def test_shards_of_three_splits_with_the_same_names_are_kept_apart(tmp_path: Path) -> None:
    for split, names in SPLITS.items():
        (tmp_path / split).mkdir()
        with tarfile.open(tmp_path / split / "00000.tar", "w") as archive:
            for number, name in enumerate(names):
                for ending, content in (
                    ("jpg", photo_bytes(name)),
                    ("txt", CAPTIONS[name][0].encode()),
                ):
                    member = tarfile.TarInfo(f"{number:09d}.{ending}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
    dataset = read(tmp_path)
    assert {s: len(names) for s, names in dataset.splits.items()} == {
        "train": 8,
        "dev": 2,
        "test": 2,
    }
    for name, captions in dataset.captions.items():
        photo = f"{captions[0].split()[-1]}.jpg"
        assert len(captions) == 1
        assert dataset.photo(name).read_bytes() == photo_bytes(photo)


def test_shards_with_the_same_names_are_kept_apart(tmp_path: Path) -> None:
    WRITERS["webdataset"][1](tmp_path)
    shutil.copy(tmp_path / "train-0.tar", tmp_path / "train-2.tar")
    dataset = read(tmp_path)
    assert "train-2/1.jpg" in dataset.captions and len(dataset.photos) == 17


BROKEN = {
    "karpathy": ("dataset_flickr8k.json", '{"images": [{"filename": 1}]}', "image 1: expected"),
    "coco": (
        "annotations/captions_val2017.json",
        '{"images": [], "annotations": [{"image_id": 7, "caption": "a"}]}',
        "annotation 1: its image 7 is none of the 0",
    ),
    "flickr30k": ("results_20130124.token", "1.jpg#0\ta\n2.jpg a dog\n", "line 2: expected name"),
    "flickr30k with bars": (
        "results.csv",
        "image_name| comment_number| comment\n1.jpg| 0| a\n2.jpg a dog\n",
        "line 3: expected image_name",
    ),
    "CSV": ("my.csv", 'filename,caption\n1.jpg,"a dog\n', "line 2: a quote .* never closed"),
    "TSV": ("my.tsv", "filename\tcaption\n1.jpg\ta\tb\n", "line 2: expected .* got 3 columns"),
    "JSON lines": ("my.jsonl", '{"file_name": "1.jpg", "text": "a"}\n{"a": 1}', "line 2: expected"),
    "Parquet": ("data/dev-00000-of-00001.parquet", "PAR1 no more", "the file: cannot be read"),
    "huggingface": ("train/data-00001-of-00002.arrow", "no arrow", "the file: cannot be read"),
    "webdataset": ("val-0.tar", "no tar", "the shard is damaged or compressed"),
    "folder": ("dev/9.txt", "caf\udce9", "line 1: not UTF-8"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_every_reader_names_file_and_place(what: str, tmp_path: Path) -> None:
    WRITERS[what][1](tmp_path)
    name, content, told = BROKEN[what]
    (tmp_path / name).write_text(content, errors="surrogateescape")
    with pytest.raises(CaptioningError, match=f"{tmp_path / name}, .*{told}"):
        read(tmp_path)
    report = check_source(open_dataset(tmp_path))
    assert any(Path(name).name in finding.what for finding in report.findings if finding.harms)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[1]", b"{", b'{"caption": 7}', b"9" * 5000])
def test_a_broken_member_of_a_shard_is_named(tmp_path: Path, content: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("1.jpg", "1.json"):
            (tmp_path / name).write_bytes(content)
            archive.add(tmp_path / name, name)
            (tmp_path / name).unlink()
    with pytest.raises(CaptioningError, match=r"a.tar, member 1.json: "):
        read(tmp_path)


def test_a_stranger_in_the_state_of_a_dataset_reaches_no_other_folder(tmp_path: Path) -> None:
    WRITERS["huggingface"][1](tmp_path / "data")
    state = {"_data_files": [{"filename": "../../secret.arrow"}]}
    (tmp_path / "data" / "train" / "state.json").write_text(json.dumps(state))
    (tmp_path / "secret.arrow").write_text("no")
    with pytest.raises(CaptioningError, match=r"data/train/secret.arrow, the file: cannot be read"):
        read(tmp_path / "data")


def run(*arguments: object) -> int:
    """The features command in this process, up to its exit code."""
    with pytest.raises(SystemExit) as ended:
        run_main(lambda: features.main([*map(str, arguments)]))
    return ended.value.code


def test_a_missing_parser_is_told_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    WRITERS["Parquet"][1](tmp_path)
    for name in ("pyarrow", "pyarrow.parquet", "pyarrow.types"):
        monkeypatch.setitem(sys.modules, name, None)
    assert run("--data", tmp_path, "--encoder", "mini-xception", "--output", tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert "needs the package pyarrow" in told and "requirements-parquet.txt" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--data", "here", "--text", "there"], "--data and --text are two datasets"),
        (["--data", "here", "--download"], "leave out --data"),
        (["--data-format", "coco"], "--data-format wants --data"),
        (["--caption-column", "text"], "want --data"),
        (["--max-words", "0"], "--max-words 0 is not at least 1"),
        (["--data", "nowhere"], "the dataset nowhere is missing"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    options: list[str], told: str, capsys: pytest.CaptureFixture
) -> None:
    assert run(*options, "--encoder", "mini-xception") == 2
    assert told in capsys.readouterr().err


def test_a_model_that_is_trained_further_keeps_its_cleaning(tmp_path: Path) -> None:
    options = argparse.Namespace(
        like=ROOT / "models" / "flickr8k", encoder="", weights="imagenet", grids=False
    )
    tokenizer = features.follow_model(options)
    assert tokenizer.cleaning == FIRST_CLEANING and len(tokenizer.words) > 1000
    (tmp_path / "text").mkdir()
    photos = write_photos(tmp_path / "photos")
    rows = "".join(f"{name},一只狗。 a dog\n" for name in PHOTOS)
    (tmp_path / "text" / "captions.txt").write_text("image,caption\n" + rows, encoding="utf-8")
    for cleaning, clean in ((FIRST_CLEANING, "一只狗。 a dog"), (CLEANING, "一 只 狗 a dog")):
        dataset = dataset_of(open_folders(photos, tmp_path / "text"), cleaning=cleaning)
        assert dataset.captions["1.jpg"] == [clean]
        write_text_files(dataset, tmp_path / "out", min_count=1)
        origin = json.loads((tmp_path / "out" / "dataset.json").read_text())
        assert origin["cleaning"] == cleaning
        assert origin["source"].startswith("read as kaggle")
