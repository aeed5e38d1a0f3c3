"""Reading a dataset: what is survived, and what is refused by file and line."""

from pathlib import Path

import pytest
from PIL import Image

from captioning.app.corrections import keep_correction
from captioning.data.captions import read_captions
from captioning.data.dataset import Dataset, read_dataset
from captioning.data.descriptions import read_descriptions
from captioning.data.splits import split_by_name
from captioning.errors import CaptioningError


def make(folder: Path, rows: str, photos: str, train: str = "a.jpg", dev: str = "b.jpg") -> tuple:
    images, text = folder / "Flicker8k_Dataset", folder / "Flickr_8k_text"
    images.mkdir()
    text.mkdir()
    for name in photos.split():
        Image.new("RGB", (8, 8)).save(images / name)
    (text / "Flickr8k.token.txt").write_text(rows, encoding="utf-8", newline="")
    (text / "Flickr_8k.trainImages.txt").write_text(train.replace(" ", "\n"))
    (text / "Flickr_8k.devImages.txt").write_text(dev.replace(" ", "\n"))
    return images, text


def test_corrections_of_the_app_are_captions(tmp_path: Path) -> None:
    keep_correction(tmp_path / "corrections.jsonl", "a.jpg", "Ein Hund, läuft", "a dog")
    keep_correction(tmp_path / "corrections.jsonl", "b.jpg", 'a "cat"', "a dog")
    assert read_captions(tmp_path) == [("a.jpg", "Ein Hund, läuft"), ("b.jpg", 'a "cat"')]
    for broken in (
        '{"image": "a.jpg"}',
        '{"image": 1, "caption": "a"}',
        '["a.jpg", "a"]',
        "{",
        "[" * 100_000,
    ):
        (tmp_path / "corrections.jsonl").write_text(f'{{"image": "a", "caption": "b"}}\n{broken}')
        with pytest.raises(CaptioningError, match=r"corrections.jsonl, line 2: expected an object"):
            read_captions(tmp_path)


def test_oddities_are_named_and_survived(tmp_path: Path) -> None:
    rows = (
        "a.jpg#0\tA dog .\r\na.jpg#11\tTwo dogs .\r\n\r\nb.jpg#0\tA cat .\n"
        "b.jpg#1\t...\nx.jpg.1#0\tAn odd row .\ngone.jpg#0\tNo photo .\nc.jpg#0\tlast row"
    )
    images, text = make(tmp_path, rows, "a.jpg b.jpg c.jpg d.jpg", "a.jpg gone.jpg", "b.jpg b.jpg")
    dataset = read_dataset(images, text)
    assert dataset.captions["a.jpg"] == ["a dog", "two dogs"]
    assert dataset.captions["b.jpg"] == ["a cat"]
    assert dataset.captions["c.jpg"] == ["last row"]
    assert dataset.splits == {"train": ["a.jpg"], "dev": ["b.jpg"]}
    assert dataset.oddities["rows whose name is no photo's"] == ["x.jpg.1"]
    assert dataset.oddities["captions without photo"] == ["gone.jpg"]
    assert dataset.oddities["photos without captions"] == ["d.jpg"]
    assert dataset.oddities["empty captions"] == ["b.jpg"]
    assert dataset.oddities["photos in no split"] == ["c.jpg"]
    for name in ("x.jpg.1", "gone.jpg", "d.jpg", "c.jpg"):
        assert name in dataset.report()


@pytest.mark.parametrize("broken", ["a.jpg A dog", "a.jpg\tA dog", "#0\tA dog", "a.jpg#x\tA dog"])
def test_a_broken_row_is_named_by_file_and_line(tmp_path: Path, broken: str) -> None:
    _, text = make(tmp_path, f"a.jpg#0\tA dog .\n{broken}\n", "a.jpg")
    with pytest.raises(CaptioningError, match=r"Flickr8k\.token\.txt, line 2"):
        read_captions(text)


def test_empty_splits_missing_folders_and_other_encodings_are_refused(tmp_path: Path) -> None:
    images, text = make(tmp_path, "a.jpg#0\tA dog\n", "a.jpg b.jpg")
    with pytest.raises(CaptioningError, match="dev split is empty"):
        read_dataset(images, text)
    (text / "Flickr_8k.devImages.txt").write_text("\n")
    with pytest.raises(CaptioningError, match="devImages.txt is empty"):
        read_dataset(images, text)
    with pytest.raises(CaptioningError, match="nowhere is missing"):
        read_dataset(tmp_path / "nowhere", text)
    with pytest.raises(CaptioningError, match="nothing is missing"):
        read_captions(tmp_path / "nothing")
    (text / "Flickr8k.token.txt").write_bytes("a.jpg#0\tok\na.jpg#1\tcaf\xe9\n".encode("latin-1"))
    with pytest.raises(CaptioningError, match="line 2: not UTF-8"):
        read_captions(text)


def test_a_table_of_captions_without_lists_is_split_by_name(tmp_path: Path) -> None:
    images, text = make(tmp_path, "", " ".join(f"{i}.jpg" for i in range(60)))
    for file in text.iterdir():
        file.unlink()
    rows = "".join(f'{i}.jpg,"A dog, number {i} ."\n' for i in range(60))
    (text / "captions.txt").write_text("image,caption\n" + rows)
    dataset = read_dataset(images, text)
    assert dataset.captions["7.jpg"] == ["a dog number 7"]
    assert sorted(sum(dataset.splits.values(), [])) == sorted(f"{i}.jpg" for i in range(60))
    assert len(dataset.splits["train"]) > 40
    assert dataset.splits == split_by_name(sorted(dataset.captions))
    (text / "captions.txt").write_text("image,caption\na.jpg\n")
    with pytest.raises(CaptioningError, match="line 2"):
        read_captions(text)


def test_a_broken_line_of_descriptions_is_named(tmp_path: Path) -> None:
    (tmp_path / "descriptions.txt").write_text("a.jpg\ta dog\nb.jpg a cat\n")
    with pytest.raises(CaptioningError, match="line 2"):
        read_descriptions(tmp_path / "descriptions.txt")


@pytest.mark.flickr8k
def test_the_real_flickr8k_is_read_whole(shared: Path) -> None:
    folder = shared / "flickr8k"
    dataset = read_dataset(folder / "Flicker8k_Dataset", folder / "Flickr_8k_text")
    assert {s: len(n) for s, n in dataset.splits.items()} == {"train": 6000, "dev": 1000}
    assert sum(len(dataset.captions[n]) for n in dataset.splits["train"]) >= 29_990
    assert dataset.oddities["rows whose name is no photo's"][0] == "2258277193_586949ec62.jpg.1"


def test_names_that_steer_a_terminal_are_escaped_in_the_report() -> None:
    odd = {"captions without photo": ["a\x1b[2J.jpg", "two\nlines.jpg", "照片.jpg"]}
    told = Dataset(Path(), {}, {}, {}, [], odd).report()
    assert told.endswith("(a\\x1b[2J.jpg, two\\nlines.jpg, 照片.jpg)")
