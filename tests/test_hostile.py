"""Files from strangers: whatever they hold, only a CaptioningError comes of it and nothing runs."""

import json
import pickle
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from captioning import load
from captioning.decoders.build import build_decoder
from captioning.decoders.kinds import Architecture
from captioning.errors import CaptioningError
from captioning.files.keras_files import check_keras_file
from captioning.files.pickles import read_pickle
from captioning.files.text import read_json
from captioning.inference.description import read_description
from captioning.inference.trained_model import load_trained_model
from captioning.vision.features import read_features
from tests.keras_attacks import MODEL, hostile_models, rewritten, weights_with
from tests.pickle_attacks import attacks

TRACE = "it-ran"
"""The file that an attack makes if its code runs."""


@contextmanager
def little_memory(megabytes: int = 512) -> Iterator[None]:
    """Let no more memory be taken than that beyond what is taken already."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


HARMLESS = {"doubled 60 times", "array of 10**18 numbers"}
"""Plain data after all, of a few bytes; they may be read, as long as nothing comes of it."""


def test_no_pickle_runs_anything_or_takes_the_memory(tmp_path: Path) -> None:
    """At least 50 attacks; half a gigabyte of memory must do for all of them."""
    trace, file = tmp_path / TRACE, tmp_path / "features.p"
    found = attacks(trace)
    assert len(found) >= 50
    read = set()
    types = repr([np.dtype(code).str for code in "fdbhil"])
    with little_memory():
        for what, content in found.items():
            file.write_bytes(content)
            try:
                read_pickle(file, "the vectors")
            except CaptioningError:
                continue
            finally:
                assert not trace.exists(), what
            read.add(what)
    assert read <= HARMLESS
    assert repr([np.dtype(code).str for code in "fdbhil"]) == types
    value = {"a.jpg": np.arange(3, dtype=np.float32)}
    file.write_bytes(pickle.dumps(value))
    np.testing.assert_array_equal(read_pickle(file, "the vectors")["a.jpg"], value["a.jpg"])


def test_no_model_file_runs_anything_or_takes_the_memory(tmp_path: Path) -> None:
    refused = 0
    for number, (what, changes) in enumerate(hostile_models(tmp_path / TRACE)):
        folder = rewritten(tmp_path / f"m{number}", **changes)
        with little_memory(2048), pytest.raises(CaptioningError, match=r"model\.keras"):
            load_trained_model(folder)
            pytest.fail(f"{what} was read")
        assert not (tmp_path / TRACE).exists(), what
        shutil.rmtree(folder)
        refused += 1
    assert refused >= 25
    load_trained_model(rewritten(tmp_path / "whole"))  # and the model itself, packed anew, is read


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
def test_a_model_of_no_numbers_ends_in_a_message(tmp_path: Path, value: float) -> None:
    def spoil(name: str, part: object) -> None:
        if isinstance(part, h5py.Dataset) and part.ndim:
            part[...] = np.full(part.shape, value, np.float32)

    weights = weights_with(lambda file: file.visititems(spoil))
    captioner = load(rewritten(tmp_path / "model", weights=weights))
    vectors = np.ones((2, captioner.trained_model.encoder["vector_size"]), np.float32)
    for beam in (1, 3):
        with pytest.raises(CaptioningError, match="is not finite"):
            captioner.decoder.decode(vectors, beam=beam)


def test_a_model_of_many_words_is_read(tmp_path: Path) -> None:
    """What is refused is what the weights don't hold, not what is large."""
    file = tmp_path / "model.keras"
    build_decoder(Architecture("merge", 16, 0.5), (64,), 12_000, 20).save(file)
    check_keras_file(file)


WRONG = (None, True, -1, 0, 10**30, 0.5, float("nan"), float("inf"), "", "x", [], [1], {}, {"x": 1})


def test_a_description_of_wrong_kinds_is_refused(tmp_path: Path) -> None:
    """Each part of captioner.json in turn holds what it can't be."""
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder)
    about = json.loads((folder / "captioner.json").read_text())
    parts = ("format", "encoder", "max_length", "decoding", "cleaning", "words", "trained_at")
    places = [(key,) for key in parts]
    places += [("encoder", key) for key in about["encoder"] if key != "weights"]
    places += [("decoding", key) for key in about["decoding"]]
    about["decoding"]["views"] = 2
    places.append(("decoding", "views"))
    tried = 0
    for place in places:
        for wrong in (*WRONG, ["two words"], ["\x1b[31m"], ["\ud800"], ["a", "a"]):
            broken = json.loads(json.dumps(about))
            part = broken if len(place) == 1 else broken[place[0]]
            fitting = (
                type(wrong) is type(part[place[-1]])
                and wrong not in ([], {}, [1])
                or place == ("decoding", "length_power")
                and type(wrong) in (int, float)
            )
            if fitting and place != ("words",) or wrong == part[place[-1]]:
                continue
            part[place[-1]] = wrong
            (folder / "captioner.json").write_text(json.dumps(broken))
            with pytest.raises(CaptioningError):
                read_description(folder)
                load_trained_model(folder)
                pytest.fail(f"{place} {wrong!r} was read")
            tried += 1
    assert tried > 200
    for whole in ("null", "[]", "3", "{", '"x"', "[" * 100_000, "9" * 5000, "\xff"):
        (folder / "captioner.json").write_text(whole, encoding="latin-1")
        with pytest.raises(CaptioningError):
            read_description(folder)


def test_a_description_of_vectors_of_wrong_kinds_is_refused(
    data_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(data_folder, folder)
    about = json.loads((folder / "features.json").read_text())
    for key in ("made_by", "digest", "failed", "stamps", "grids", "rows"):
        for wrong in WRONG:
            if key == "grids" and wrong in (None, "x"):
                continue
            if wrong == {} and key != "made_by":
                continue
            broken = about | {key: wrong}
            (folder / "features.json").write_text(json.dumps(broken))
            with pytest.raises(CaptioningError):
                read_features(folder)
                pytest.fail(f"{key} {wrong!r} was read")
    grids = {"grids": "../../../etc/passwd", "rows": {"a.jpg": [0]}}
    (folder / "features.json").write_text(json.dumps(about | grids))
    with pytest.raises(CaptioningError, match=r"data.passwd is missing"):
        read_features(folder)


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "x.json").open("wb") as file:
        file.truncate(3 << 30)  # of no size on the disk
    with little_memory(), pytest.raises(CaptioningError, match="more than 1,073,741,824 bytes"):
        read_json(tmp_path / "x.json", "the description")
