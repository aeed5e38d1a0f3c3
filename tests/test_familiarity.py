"""How like photos are to the training photos: the numbers, their file, and where they are told."""

import csv
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from captioning import load
from captioning.data.prepared import read_prepared
from captioning.errors import CaptioningError
from captioning.inference.familiarity import (
    COMPONENTS,
    FAMILIARITY,
    LARGEST,
    MOST_PHOTOS,
    TYPES,
    UNFAMILIAR,
    Familiarity,
    is_unfamiliar,
    read_familiarity,
    write_familiarity,
)
from tests.conftest import Run

SIZE = 60
TOY = 224
"""Numbers of a vector of the toy model's encoder."""


def clusters(count: int, seed: int, centres: int = 0) -> np.ndarray:
    """Vectors (count, SIZE) around three centres; of another number, around other ones."""
    middle = np.random.default_rng((centres, 99)).standard_normal((3, SIZE))
    noise = 0.3 * np.random.default_rng(seed).standard_normal((count, SIZE))
    return (middle[np.arange(count) % 3] + noise).astype(np.float32)


def fitted() -> Familiarity:
    return Familiarity.fit(clusters(300, seed=1), clusters(100, seed=2))


def test_the_similarity_is_the_mean_cosine_to_the_five_nearest() -> None:
    train, others = clusters(200, seed=1), clusters(30, seed=3)
    found = Familiarity.fit(train, clusters(10, seed=2))
    assert found.components.shape == (SIZE, SIZE)  # all of them: cosines are as without PCA

    def unit(vectors: np.ndarray) -> np.ndarray:
        rows = (vectors - train.mean(axis=0)) / train.std(axis=0)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    expected = np.sort(unit(others) @ unit(train).T)[:, -5:].mean(axis=1)
    np.testing.assert_allclose(found.similarity(others), expected, atol=0.01)
    # A photo among 1,000, or alone: the same.
    np.testing.assert_array_equal(
        found.similarity(np.concatenate([others] * 40))[:30], found.similarity(others)
    )
    np.testing.assert_array_equal(found.similarity(others[:1]), found.similarity(others)[:1])


def test_the_share_is_that_of_dev_photos_that_are_no_more_alike() -> None:
    found = fitted()
    dev = clusters(100, seed=2)
    shares = found.of(dev)
    # Two may have the same share: similarities are rounded.
    np.testing.assert_allclose(np.sort(shares), np.arange(1, 101) / 100, atol=0.011)
    # In the order of their similarities.
    assert (np.diff(shares[np.argsort(found.similarity(dev), kind="stable")]) >= 0).all()
    alike = found.of(clusters(500, seed=4))
    assert 0.4 < alike.mean() < 0.6  # any share is as likely
    assert (alike < UNFAMILIAR).mean() < 0.06
    assert (found.of(clusters(50, seed=5, centres=1)) < UNFAMILIAR).all()  # other centres
    assert found.of(clusters(300, seed=1)).mean() > 0.7  # the training photos themselves
    assert found.of(np.zeros((0, SIZE), np.float32)).shape == (0,)


def test_what_is_marked() -> None:
    assert is_unfamiliar(0.0) and is_unfamiliar(0.019)
    assert not is_unfamiliar(UNFAMILIAR) and not is_unfamiliar(1.0) and not is_unfamiliar(None)


@pytest.mark.parametrize(
    ("train", "dev"),
    [
        (np.ones((1, SIZE)), np.ones((1, SIZE))),
        (np.zeros((1, SIZE)), clusters(5, seed=1)),
        (np.full((90, SIZE), 0.1), np.full((30, SIZE), 0.1)),
        (np.full((90, SIZE), 0.1), clusters(30, seed=1)),
        (clusters(2, seed=1), clusters(1, seed=2)),
        (clusters(7, seed=1), clusters(3, seed=2)),
        (np.concatenate([clusters(9, seed=1), np.zeros((9, SIZE))], axis=1), np.zeros((2, 120))),
        (clusters(20, seed=1) * 1e-30, clusters(20, seed=2) * 1e30),
        (clusters(20, seed=1) * 1e-44, clusters(20, seed=2)),
        (np.where(np.arange(20)[:, None] == 3, np.nan, clusters(20, seed=1)), clusters(9, seed=2)),
        (np.full((3, SIZE), np.nan), np.full((3, SIZE), np.inf)),
    ],
)
@pytest.mark.filterwarnings("error")
def test_odd_data_end_in_shares_all_the_same(
    train: np.ndarray, dev: np.ndarray, tmp_path: Path
) -> None:
    size = train.shape[1]
    found = Familiarity.fit(train.astype(np.float32), dev.astype(np.float32))
    write_familiarity(tmp_path, found)
    found = read_familiarity(tmp_path, size)
    assert found is not None
    for vectors in (train, dev, np.full((3, size), 3e38), np.zeros((2, size))):
        shares = found.of(np.nan_to_num(vectors, posinf=1).astype(np.float32))
        assert shares.shape == (len(vectors),)
        assert (shares >= 0).all() and (shares <= 1).all()
    if (train == train[0]).all():
        assert (shares == 1).all()  # nothing can be told apart, and nothing is marked


def test_photos_of_a_later_training_come_to_those_before() -> None:
    old, dev = clusters(200, seed=1), clusters(50, seed=2)
    strange = clusters(40, seed=3, centres=1)
    found = Familiarity.fit(old, dev)
    assert found.extended(old, dev) is found, "they were there already"
    assert found.of(strange).max() == 0
    more = found.extended(strange[:30], strange[30:])
    assert len(more.neighbours) == 230 and len(more.dev) == 60
    assert more.of(strange[30:]).min() > 0.1
    assert more.of(clusters(9, seed=4, centres=2)).max() == 0
    np.testing.assert_array_equal(more.similarity(dev), found.similarity(dev))


def test_the_file_holds_the_numbers_and_nothing_else(tmp_path: Path) -> None:
    folder, size = tmp_path, 1024
    generator = np.random.default_rng(6)
    vectors = generator.standard_normal((500, 1024), np.float32)
    found = Familiarity.fit(vectors[:400], vectors[400:])
    write_familiarity(folder, found)
    content = (folder / FAMILIARITY).read_bytes()
    back = read_familiarity(folder, size)
    assert back is not None
    for name, kind in TYPES.items():
        np.testing.assert_array_equal(getattr(back, name), getattr(found, name))
        assert getattr(back, name).dtype == kind
    assert back.components.shape == (1024, COMPONENTS)
    np.testing.assert_array_equal(back.of(vectors), found.of(vectors))
    with zipfile.ZipFile(folder / FAMILIARITY) as archive:
        assert set(archive.namelist()) == {f"{name}.npy" for name in TYPES}
    write_familiarity(folder, Familiarity.fit(vectors[:400], vectors[400:]))
    assert (folder / FAMILIARITY).read_bytes() == content  # the same data, the same bytes
    (folder / FAMILIARITY).unlink()
    assert read_familiarity(folder, size) is None


def test_many_photos_take_at_most_three_megabytes(tmp_path: Path) -> None:
    generator = np.random.default_rng(7)
    train = generator.standard_normal((20_000, 1280), np.float32)
    found = Familiarity.fit(train, train[:1000])
    assert found.neighbours.shape == (MOST_PHOTOS, COMPONENTS)
    # Without compression; noise compresses least.
    write_familiarity(tmp_path, found)
    assert (tmp_path / FAMILIARITY).stat().st_size < 3_000_000
    # From the first to the last, at the same distance.
    np.testing.assert_allclose(
        found.mean, train[np.linspace(0, 19_999, MOST_PHOTOS).astype(int)].mean(axis=0), atol=1e-5
    )


def members(**changed: np.ndarray | bytes | None) -> bytes:
    """A zip of the arrays of `fitted()`, some of them changed or, where None, left out."""
    good = fitted()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in ({name: getattr(good, name) for name in TYPES} | changed).items():
            if isinstance(value, np.ndarray):
                stream = io.BytesIO()
                np.save(stream, value, allow_pickle=True)
                value = stream.getvalue()
            if value is not None:
                archive.writestr(f"{name}.npy", value)
    return file.getvalue()


def header(shape: str, kind: str = "<f4") -> bytes:
    """A .npy file of a header alone, which claims that shape and type."""
    text = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text = text.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


class Attack:
    """An object whose pickle makes a file when it is read."""

    def __reduce__(self) -> tuple:
        return os.mkdir, ("it-ran",)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"no zip",
    "cut off": lambda: members()[:-300],
    "flipped": lambda: members()[:900] + b"\xff\xff\xff" + members()[903:],
    "too long": lambda: members() + bytes(LARGEST),
    "a part missing": lambda: members(dev=None),
    "a part more": lambda: members(more=np.ones(3, np.float32)),
    "another name": lambda: members(**{"../mean": np.ones(3, np.float32), "mean": None}),
    "a bomb": lambda: members(neighbours=np.zeros((300_000, SIZE), np.int8)),
    "objects": lambda: members(mean=np.array([Attack()] * SIZE, object)),
    "objects as the file": lambda: members(dev=b"\x80\x04c__main__\nAttack\n."),
    "a claimed size": lambda: members(neighbours=header("(10**12, 60)", "|i1")),
    "a claimed large size": lambda: members(neighbours=header("(1000000000000, 60)", "|i1")),
    "a negative size": lambda: members(dev=header("(-1, -1)") + bytes(4)),
    "no shape": lambda: members(dev=header("()") + bytes(4)),
    "no photo": lambda: members(neighbours=np.ones((0, SIZE), np.int8)),
    "no dev photo": lambda: members(dev=np.ones(0, np.float32)),
    "another type": lambda: members(mean=np.ones(SIZE)),
    "other bytes": lambda: members(mean=np.ones(SIZE, ">f4")),
    "other columns": lambda: members(components=np.ones((SIZE, 7), np.float16)),
    "by columns": lambda: members(components=np.ones((SIZE, SIZE), np.float16).T[:, :59]),
    "a number more": lambda: members(mean=np.ones(SIZE + 1, np.float32)),
    "a matrix": lambda: members(dev=np.ones((4, 4), np.float32)),
    "not finite": lambda: members(mean=np.full(SIZE, np.nan, np.float32)),
    "infinite": lambda: members(components=np.full((SIZE, SIZE), np.inf, np.float16)),
    "no scale": lambda: members(scale=np.zeros(SIZE, np.float32)),
    "not in order": lambda: members(dev=np.array([2, 1], np.float32)),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_damaged_or_hostile_file_is_refused_in_one_sentence(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / FAMILIARITY).write_bytes(HOSTILE[what]())
    with pytest.raises(CaptioningError, match=r"cannot read .*familiarity\.npz: .*; remove it"):
        read_familiarity(tmp_path, SIZE)
    assert not (tmp_path / "it-ran").exists()


def test_a_file_of_another_encoder_is_refused_and_a_whole_one_read(tmp_path: Path) -> None:
    (tmp_path / FAMILIARITY).write_bytes(members())
    assert read_familiarity(tmp_path, SIZE) is not None
    with pytest.raises(CaptioningError, match="encoder gives vectors of 61 numbers"):
        read_familiarity(tmp_path, SIZE + 1)


def test_a_training_and_a_finetuning_write_it(
    model_folder: Path, data_folder: Path, whole_finetuning: Path, scenes_folder: Path
) -> None:
    prepared = read_prepared(data_folder)
    train, dev = (prepared.features.matrix(prepared.splits[s]) for s in ("train", "dev"))
    found = read_familiarity(model_folder, TOY)
    assert found is not None
    np.testing.assert_array_equal(found.of(dev), Familiarity.fit(train, dev).of(dev))
    assert read_familiarity(whole_finetuning, TOY) is not None
    # And the captioner tells of a photo what its stored vector tells.
    names = prepared.splits["dev"]
    photos = [scenes_folder / "Flicker8k_Dataset" / name for name in names]
    told = [caption.familiar for caption in load(model_folder).caption(photos)]
    assert all(isinstance(share, float) for share in told)
    np.testing.assert_allclose(told, found.of(dev), atol=0.051)  # of 20 photos: one place


@pytest.fixture
def unlike_model(model_folder: Path, tmp_path: Path) -> Path:
    """The toy model, with dev photos so alike that any other photo is unlike them."""
    folder = tmp_path / "unlike"
    shutil.copytree(model_folder, folder)
    found = read_familiarity(folder, TOY)
    assert found is not None
    write_familiarity(folder, replace(found, dev=np.full(100, 2, np.float32)))
    return folder


@pytest.fixture
def unknowing_model(model_folder: Path, tmp_path: Path) -> Path:
    """The toy model as an older version left it."""
    folder = tmp_path / "unknowing"
    shutil.copytree(model_folder, folder)
    (folder / FAMILIARITY).unlink()
    return folder


def test_rows_hold_the_share(
    run_caption: Run, unlike_model: Path, unknowing_model: Path, odd_photos: Path, tmp_path: Path
) -> None:
    shown = {}
    for model in (unlike_model, unknowing_model):
        say = ("--model", model, "-i", odd_photos, "--format")
        table = list(csv.DictReader(io.StringIO(run_caption(*say, "csv")[1])))
        assert list(table[0]) == ["image", "caption", "score", "familiar"]
        lines = [json.loads(line) for line in run_caption(*say, "jsonl")[1].splitlines()]
        assert list(lines[0]) == ["image", "caption", "score", "familiar"]
        marked = run_caption(*say, "csv", "--unsure", 0.4)[1]
        assert [row | {"unsure": "?"} for row in csv.DictReader(io.StringIO(marked))] == [
            row | {"unsure": "?"} for row in table
        ]
        shown[model] = {row["familiar"] for row in table}, {row["familiar"] for row in lines}
    assert shown == {unlike_model: ({"0.000"}, {0.0}), unknowing_model: ({""}, {None})}


def test_a_page_marks_unlike_photos_in_words_and_with_a_frame(
    run_caption: Run, unlike_model: Path, model_folder: Path, odd_photos: Path, tmp_path: Path
) -> None:
    page = tmp_path / "c.html"
    run_caption("--model", unlike_model, "-i", odd_photos, "-o", page, "--unsure", 0.4)
    text = page.read_text(encoding="utf-8")
    assert text.count(" data-unlike><a") == text.count(">unlike the training photos:</strong>") == 5
    both = '<figcaption><strong>unsure:</strong> <strong class="unlike">unlike the training photos:'
    assert text.count(both) == text.count('<figure class="unsure" data-score=') == 2
    code, _, messages = run_caption(
        "--model", unlike_model, "-i", odd_photos, "-o", page, "--unsure", 0.4, "--resume"
    )
    assert code == 1 and "5 of 6 photos are done" in messages
    assert page.read_text(encoding="utf-8") == text
    run_caption("-i", odd_photos / "colour.png", "-o", page, "--overwrite")
    assert 'data-familiar="' in page.read_text(encoding="utf-8")
    assert " data-unlike>" not in page.read_text(encoding="utf-8")


def test_text_is_followed_by_a_note_on_standard_error(
    run_caption: Run, unlike_model: Path, unknowing_model: Path, odd_photos: Path, tmp_path: Path
) -> None:
    photo, other = odd_photos / "colour.png", odd_photos / "gray.jpg"
    code, printed, messages = run_caption("--model", unlike_model, "-i", photo)
    assert (code, printed.count("\n")) == (0, 1)
    assert messages == (
        "note: this photo is unlike those that the model learned from (familiar 0.0%); don't rely "
        "on the caption\n"
    )
    _, _, messages = run_caption("--model", unlike_model, "-i", photo, other)
    assert messages == (
        "note: 2 of 2 photos are unlike those that the model learned from; don't rely on their "
        "captions; --format csv names them\n2 captioned\n"
    )
    page = run_caption("--model", unlike_model, "-i", photo, "-o", tmp_path / "x.html")[2]
    assert page == f"1 captioned → {tmp_path / 'x.html'}\n"
    for how in (["--format", "csv"], ["--format", "jsonl"]):
        assert run_caption("--model", unlike_model, "-i", photo, *how)[2] == ""
    assert run_caption("--model", unknowing_model, "-i", photo)[2] == ""
    assert run_caption("-i", photo)[2] == ""  # a training photo


def test_files_of_an_older_version_are_not_mixed_with_new_rows(
    run_caption: Run, odd_photos: Path, tmp_path: Path
) -> None:
    photo = odd_photos / "colour.png"
    old = {
        "csv": f"image,caption,score\n{photo},a dog,-1.0000\n",
        "jsonl": f'{{"image": "{photo}", "caption": "a dog", "score": -1.0}}\n',
    }
    for ending, text in old.items():
        file = tmp_path / f"old.{ending}"
        file.write_text(text)
        code, _, messages = run_caption("-i", odd_photos, "-o", file, "--resume")
        assert code == 2
        assert "older version" in messages and "--overwrite" in messages
        assert "familiar" in messages
        assert file.read_text() == text
