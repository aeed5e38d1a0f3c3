"""Data of other projects: vectors, captions and lists, and the other way round."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from captioning.commands.run import run_command
from captioning.data.descriptions import read_descriptions, write_descriptions
from captioning.data.other_files import OtherData, read_vectors, write_other_data
from captioning.data.prepared import read_prepared
from captioning.errors import CaptioningError
from captioning.files.pickles import write_pickle
from tests.conftest import Run
from tests.old_pickles import (
    MODULES,
    attributes,
    by_old_program,
    pickled_tokenizer,
    python_2_vectors,
    with_numpy_1,
)

VECTOR = np.linspace(-3, 3, 2048, dtype=np.float32)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Run:
    """The convert command in this process."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["convert.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run_command("convert")
        return ended.value.code, *capsys.readouterr()

    return call


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"a.jpg": VECTOR[None]}, 0),
        pickle.dumps({"a.jpg": VECTOR}, 2),
        pickle.dumps({"a.jpg": VECTOR.reshape(1, 1, 1, -1)}, 4),
        pickle.dumps({"a.jpg": VECTOR.astype(np.float64)}, 5),
        pickle.dumps({"a.jpg": VECTOR.tolist()}, 3),
        pickle.dumps({r"D:\photos\a.jpg": VECTOR}, 3),
        pickle.dumps({"Flicker8k_Dataset/a.jpg": VECTOR}, 3),
        with_numpy_1(pickle.dumps({"a.jpg": VECTOR[None]}, 2)),
        python_2_vectors({"a.jpg": VECTOR[None]}, 0),
        python_2_vectors({"a.jpg": VECTOR[None]}, 2),
    ],
)
def test_vectors_of_every_shape_and_program_are_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "features.p").write_bytes(content)
    found = read_vectors(tmp_path / "features.p")
    np.testing.assert_array_equal(found["a.jpg"], VECTOR[None], strict=True)


def test_photos_may_be_named_by_numbers_and_by_bytes(tmp_path: Path) -> None:
    for key, name in ((7, "7"), (b"a.jpg", "a.jpg")):
        (tmp_path / "features.p").write_bytes(pickle.dumps({key: VECTOR}))
        assert list(read_vectors(tmp_path / "features.p")) == [name]


def test_only_photos_with_vectors_are_shared_out(tmp_path: Path) -> None:
    names = [f"{number}_abc" for number in range(24)]
    rows = [f"{name}.jpg#{k}\tStart a dog End\n" for name in names for k in range(2)]
    (tmp_path / "descriptions.txt").write_text("".join(rows))
    (tmp_path / "features.p").write_bytes(pickle.dumps(dict.fromkeys(names[:5], VECTOR)))
    data = OtherData(tmp_path / "features.p", tmp_path / "descriptions.txt")
    vectors = read_vectors(data.features)
    counts = write_other_data(data, vectors, {"name": "xception"}, tmp_path)
    assert sum(counts.values()) == 5 and counts["train"] and counts["dev"]
    captions = read_descriptions(tmp_path / "descriptions.txt")
    assert captions["3_abc.jpg"] == ["a dog", "a dog"]


@pytest.mark.parametrize("size", [4096, 2048, 1920])
def test_half_precision_and_other_sizes_are_read(size: int, tmp_path: Path) -> None:
    vector = np.linspace(-3, 3, size).astype(np.float16)
    (tmp_path / "features.pkl").write_bytes(pickle.dumps({"a": vector}))
    found = read_vectors(tmp_path / "features.pkl")["a"]
    np.testing.assert_array_equal(found, vector.astype(np.float32)[None], strict=True)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([VECTOR], "holds no vectors"),
        ({}, "holds no vectors"),
        ({"a.jpg": VECTOR, "b.jpg": VECTOR[:9]}, "2048 numbers of a.jpg and 9 numbers of b.jpg"),
        ({"a.jpg": np.zeros((7, 7, 512), np.float32)}, r"'a.jpg' .*shape \(7, 7, 512\)"),
        ({"a.jpg": np.zeros((2, 2048), np.float32)}, r"shape \(2, 2048\)"),
        ({"a.jpg": np.array(["x"])}, "no vector"),
        ({"a.jpg": "x"}, "has str, no vector"),
        ({1.5: VECTOR}, "photo 1.5"),
        ({"a.jpg": VECTOR * np.nan}, "a.jpg is not finite"),
        ({"a.jpg": np.zeros(0, np.float32)}, "sizes: 0 numbers"),
        ({"x/a.jpg": VECTOR, "y/a.jpg": VECTOR}, "two photos"),
    ],
)
def test_what_is_no_vector_is_named(value: object, message: str, tmp_path: Path) -> None:
    write_pickle(tmp_path / "features.p", value)
    with pytest.raises(CaptioningError, match=message) as refused:
        read_vectors(tmp_path / "features.p")
    assert str(tmp_path / "features.p") in str(refused.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
@pytest.mark.parametrize(
    "markers",
    [("", ""), ("startseq ", " endseq"), ("start ", " end"), ("<start> ", " <end>")],
)
def test_descriptions_with_any_line_ends_and_markers(end, markers, tmp_path: Path) -> None:
    before, after = markers
    rows = [("a.jpg", "start of the end"), ("a.jpg", "dog runs"), ("b.jpg", "cat")]
    text = end.join(f"{name}\t{before}{caption}{after}" for name, caption in rows)
    for content in (text, text.replace("\t", " "), text + end):
        (tmp_path / "descriptions.txt").write_bytes(content.encode())
        found = read_descriptions(tmp_path / "descriptions.txt")
        assert found == {"a.jpg": ["start of the end", "dog runs"], "b.jpg": ["cat"]}


def old_folder(folder: Path, ending: str = ".jpg") -> list[str]:
    """Files of another project: eight photos, the lists of six; names in vectors end so."""
    names = [f"photo{place}" for place in range(8)]
    vectors = {name + ending: VECTOR[None] + place for place, name in enumerate(names)}
    (folder / "features.p").write_bytes(pickle.dumps(vectors, 2))
    rows = [f"{name}.jpg\tstartseq black dog runs endseq" for name in names]
    (folder / "descriptions.txt").write_text("\n".join(rows))
    (folder / "Flickr_8k.trainImages.txt").write_text("photo0.jpg\nphoto1.jpg\nphoto2.jpg\n")
    (folder / "Flickr_8k.devImages.txt").write_text("photo3.jpg\nphoto4.jpg")
    (folder / "Flickr_8k.testImages.txt").write_text("photo5.jpg\n")
    state = attributes(["startseq black dog runs fast endseq"])
    (folder / "tokenizer.p").write_bytes(pickled_tokenizer(MODULES[0], 0, state))
    options = ("--features", "features.p", "--descriptions", "descriptions.txt")
    return [option if option.startswith("--") else str(folder / option) for option in options]


@pytest.mark.parametrize("ending", [".jpg", "", ".JPG"])
def test_converted_data_can_be_trained_with(ending: str, run: Run, tmp_path: Path) -> None:
    options = old_folder(tmp_path, ending)
    code, _, messages = run(*options, "--text", tmp_path, "--output", tmp_path / "data")
    assert code == 0, messages
    assert "8 vectors of 2,048 numbers, encoder xception (--encoder names another)" in messages
    assert "3 train, 2 dev, 1 test" in messages
    data = read_prepared(tmp_path / "data")
    assert data.tokenizer.words == ("black", "dog", "runs")
    assert [Path(name).stem for name in data.splits["dev"]] == ["photo3", "photo4"]
    (name, *_) = data.splits["dev"]
    assert data.captions[name] == ["black dog runs"]
    np.testing.assert_array_equal(data.features.matrix([name]), VECTOR[None] + 3)
    again = [*options, "--output", tmp_path / "data"]
    assert "exists already" in run(*again)[2]
    # Without lists photos are shared out; the vocabulary of an old tokenizer is taken over.
    code, _, messages = run(*again, "--overwrite", "--tokenizer", tmp_path / "tokenizer.p")
    assert code == 0, messages
    words = read_prepared(tmp_path / "data").tokenizer.words
    assert words == ("black", "dog", "runs", "fast")


def test_data_that_dont_fit_are_refused(run: Run, tmp_path: Path) -> None:
    options = old_folder(tmp_path)
    output = ["--output", tmp_path / "data"]
    assert (
        "2048 numbers, and the encoder vgg16 gives 4096"
        in run(*options, *output, "--encoder", "vgg16")[2]
    )
    assert "no encoder is named 'x'" in run(*options, *output, "--encoder", "x")[2]
    (tmp_path / "descriptions.txt").write_text("other.jpg\tdog")
    code, _, messages = run(*options, *output)
    assert code == 2 and "no photo of" in messages and "other.jpg" in messages
    assert "wants --descriptions" in run("--features", tmp_path / "features.p", *output)[2]
    assert "nothing to convert" in run(*output)[2]
    assert "there is no file x.p" in run("--features", "x.p", *options[2:], *output)[2]
    assert not (tmp_path / "data" / "features.p").exists()


def test_the_old_notebooks_code_reads_what_is_written(tmp_path: Path) -> None:
    """The other way round: vectors and captions, as the old notebook loads them."""
    captions = {"a.jpg": ["black dog runs", "dog"], "b.jpg": ["a cat"]}
    vectors = {name: VECTOR[None] + place for place, name in enumerate(captions)}
    write_pickle(tmp_path / "features.p", vectors)
    (tmp_path / "descriptions.txt").write_text(write_descriptions(captions))
    photos = ["a.jpg"]
    # load_features
    every = by_old_program((tmp_path / "features.p").read_bytes())
    features = {name: every[name] for name in photos}
    np.testing.assert_array_equal(features["a.jpg"], VECTOR[None], strict=True)
    assert features["a.jpg"][0].shape == (2048,)
    # load_clean_descriptions
    found: dict[str, list[str]] = {}
    for line in (tmp_path / "descriptions.txt").read_text().split("\n"):
        words = line.split()
        if len(words) >= 1 and words[0] in photos:
            found.setdefault(words[0], []).append("<start> " + " ".join(words[1:]) + " <end>")
    assert found == {"a.jpg": ["<start> black dog runs <end>", "<start> dog <end>"]}
