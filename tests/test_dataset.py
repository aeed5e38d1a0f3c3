"""Reading a dataset: what is survived, and what is refused by file and line."""

import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from captioning.app.corrections import Correction, write_corrections
from captioning.data.captions import open_folders, read_captions
from captioning.data.checks import check_data
from captioning.data.dataset import Dataset, dataset_of, read_dataset
from captioning.data.descriptions import read_descriptions
from captioning.data.names import match_names
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


def test_a_fresh_clones_folder_of_captions_says_how_they_come(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("Flickr8k's text files go here.")
    with pytest.raises(CaptioningError, match=r"no captions in .*features.* --download"):
        read_captions(tmp_path)


def test_corrections_of_the_app_are_captions(tmp_path: Path) -> None:
    rows = [
        Correction("a.jpg", "Ein Hund, läuft", "a dog"),
        Correction("b.jpg", 'a "cat"', "a dog"),
    ]
    write_corrections(tmp_path / "corrections.jsonl", rows)
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


def table(folder: Path, rows: str, photos: str) -> tuple[Path, Path]:
    """A dataset of a table without lists."""
    images, text = make(folder, "", photos)
    for file in text.iterdir():
        file.unlink()
    (text / "captions.txt").write_text(rows, encoding="utf-8", newline="")
    return images, text


def test_a_quote_that_is_never_closed_is_refused_where_it_opens(tmp_path: Path) -> None:
    rows = [f"{i}.jpg,a dog runs\n" for i in range(60)]
    rows[4] = '4.jpg,"a dog runs\n'
    images, text = table(tmp_path, "image,caption\n" + "".join(rows), "1.jpg 4.jpg")
    with pytest.raises(CaptioningError, match=r"captions.txt, line 6: .* never closed"):
        read_dataset(images, text)
    report = check_data(images, text)
    lines = {finding.what: finding.names for finding in report.findings}
    (broken,) = lines["lines of captions.txt that are no name and caption"]
    assert broken.startswith("line 6 (a quote that is opened here")
    assert report.captions == 4
    # Closed by a later quote: of an inch, and at the end of a caption.
    for later, line in (('9.jpg,a "dog" runs\n', 6), ('9.jpg,a 9 dog"\n', 6)):
        rows[9] = later
        (text / "captions.txt").write_text("image,caption\n" + "".join(rows))
        with pytest.raises(CaptioningError, match=f"captions.txt, line {line}: .*quote"):
            read_captions(text)
    # A caption of two lines is none of these.
    (text / "captions.txt").write_text('image,caption\n1.jpg,"a dog\nruns, fast"\n4.jpg,a ""\n')
    assert read_captions(text) == [("1.jpg", "a dog\nruns, fast"), ("4.jpg", 'a ""')]


def test_captions_without_end_are_left_out_and_said(tmp_path: Path) -> None:
    rows = f"image,caption\n1.jpg,{'dog ' * 101}\n1.jpg,a dog\n2.jpg,{'a ' * 100}\n"
    images, text = table(tmp_path, rows, "1.jpg 2.jpg")
    dataset = read_dataset(images, text)
    assert dataset.captions["1.jpg"] == ["a dog"]
    assert len(dataset.captions["2.jpg"][0].split()) == 100
    assert "captions of more than 100 words, left out: 1 (1.jpg)" in dataset.report()
    assert dataset_of(open_folders(images, text), max_words=101).captions["1.jpg"][1:] == ["a dog"]


@pytest.mark.parametrize("photos", range(2, 13))
def test_a_few_photos_are_enough(photos: int) -> None:
    for series in range(40):
        names = [f"{series}-{number}.jpg" for number in range(photos)]
        splits = split_by_name(names)
        assert splits["train"] and splits["dev"]
        assert sorted(sum(splits.values(), [])) == sorted(names)
    # Those that have their split already keep it.
    many = split_by_name([f"{number}.jpg" for number in range(1000)])
    some = split_by_name([f"{number}.jpg" for number in range(900)])
    assert all(set(some[split]) <= set(many[split]) for split in many)


def test_one_photo_is_too_few_and_told_so(tmp_path: Path) -> None:
    images, text = table(tmp_path, "image,caption\n1.jpg,a dog\n", "1.jpg")
    with pytest.raises(CaptioningError, match="takes 2 photos with captions.* there is 1") as told:
        read_dataset(images, text)
    assert "lists" not in str(told.value)
    write_corrections(text / "corrections.jsonl", [Correction("1.jpg", "a cat", "a dog")])
    (text / "captions.txt").unlink()
    with pytest.raises(CaptioningError, match="takes 2 photos"):
        read_dataset(images, text)


@pytest.mark.parametrize(
    "written",
    [
        "Images/{}.jpg",
        "C:\\photos\\{}.jpg",
        "{}",
        "{}.JPG",
        "{}.jpg#0",
        " {}.jpg ",
        "./{}.jpg",
        "/somewhere/{}.jpeg",
    ],
)
def test_names_are_matched_where_there_is_no_doubt(tmp_path: Path, written: str) -> None:
    photos = [f"caf\u00e9 {i}" for i in range(20)]
    rows = "".join(f"{written.format(p)},a dog\n" for p in photos)
    images, text = table(tmp_path, "image,caption\n" + rows, "")
    for photo in photos:
        Image.new("RGB", (8, 8)).save(images / f"{photo}.jpg")
    dataset = read_dataset(images, text)
    assert sorted(dataset.captions) == sorted(f"{photo}.jpg" for photo in photos)
    assert "names taken for photos that are written otherwise: 20" in dataset.report()
    harms = [f.what for f in check_data(images, text, min_count=1).findings if f.harms]
    assert harms == ["byte-identical photos in train and dev or test"]
    other_letters = unicodedata.normalize("NFD", rows)
    (text / "captions.txt").write_text("image,caption\n" + other_letters, encoding="utf-8")
    assert sorted(read_dataset(images, text).captions) == sorted(dataset.captions)


def test_names_in_doubt_stay_apart() -> None:
    assert match_names(["a/1.jpg", "b/1.jpg"], ["1.jpg"], Path("none")) == {}
    assert match_names(["1.jpg"], ["a/1.jpg", "b/1.jpg"], Path("none")) == {}
    assert match_names(["x/1.jpg", "1.jpg"], ["1.jpg"], Path("none")) == {"1.jpg": "1.jpg"}
    nested = ["train/1.jpg", "val/1.jpg"]
    assert match_names(["D:\\train\\1.jpg"], nested, Path("none")) == {
        "D:\\train\\1.jpg": "train/1.jpg"
    }


def test_names_that_do_not_fit_are_shown_from_both_sides(tmp_path: Path) -> None:
    images, text = table(tmp_path, "image,caption\nx.jpg,a dog\ny.jpg,a cat\n", "1.jpg 2.jpg")
    with pytest.raises(CaptioningError, match="captions are of x.jpg, y.jpg, photos are 1.jpg, 2"):
        read_dataset(images, text)
    report = check_data(images, text)
    assert report.harms
    (told,) = [f.names[0] for f in report.findings if f.what == "no photo has a caption"]
    assert "x.jpg, y.jpg" in told and "1.jpg, 2.jpg" in told


def test_photos_lie_in_folders_below_or_elsewhere(tmp_path: Path) -> None:
    images, text = table(tmp_path, "", "a.jpg")
    (images / "below").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in (images / "below" / "b.jpg", elsewhere / "c.jpg"):
        Image.new("RGB", (8, 8)).save(path)
    rows = f"image,caption\na.jpg,a\nb.jpg,b\n{elsewhere / 'c.jpg'},c\n{images / 'a.jpg'},d\n"
    (text / "captions.txt").write_text(rows)
    dataset = read_dataset(images, text)
    outside = str(elsewhere / "c.jpg")
    assert dataset.captions == {"a.jpg": ["a", "d"], "below/b.jpg": ["b"], outside: ["c"]}
    assert dataset.photos == ["a.jpg", "below/b.jpg", outside]
    assert all(Path(dataset.photo(name)).is_file() for name in dataset.photos)


@pytest.mark.parametrize("head", ["", "image;caption\n", "one,two\n"])
def test_check_refuses_what_features_refuses(tmp_path: Path, head: str) -> None:
    rows = head + "".join(f"{i}.jpg,a dog runs\n" for i in range(1, 4))
    images, text = table(tmp_path, rows, "1.jpg 2.jpg 3.jpg")
    with pytest.raises(CaptioningError, match="captions.txt, line 1: expected the columns"):
        read_dataset(images, text)
    assert check_data(images, text).harms


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_all_systems_are_read(tmp_path: Path, end: str) -> None:
    rows = "".join(f"{i}.jpg#0\ta dog runs{end}" for i in range(1, 4))
    images, text = make(tmp_path, rows, "1.jpg 2.jpg 3.jpg", f"1.jpg{end}2.jpg", f"3.jpg{end}")
    dataset = read_dataset(images, text)
    assert dataset.splits == {"train": ["1.jpg", "2.jpg"], "dev": ["3.jpg"]}
    assert dataset.captions == {f"{i}.jpg": ["a dog runs"] for i in range(1, 4)}
    assert check_data(images, text).captions == 3
