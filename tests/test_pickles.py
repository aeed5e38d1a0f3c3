"""Pickles hold data; nothing in them runs."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from captioning.errors import CaptioningError
from captioning.files.pickles import read_pickle, write_pickle
from tests.old_pickles import by_old_program, python_2_vectors, with_numpy_1


class Attack:
    """Pickles to a call of os.system."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self._trace}",)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path, protocol: int) -> None:
    trace = tmp_path / "it-ran"
    attack = {"x": [Attack(trace)], "y": np.zeros(2)}
    (tmp_path / "x.p").write_bytes(pickle.dumps(attack, protocol))
    with pytest.raises(CaptioningError, match="wants to run"):
        read_pickle(tmp_path / "x.p", "the vectors")
    assert not trace.exists()


@pytest.mark.parametrize("protocol", [0, 2, 3, 4])
def test_arrays_of_older_protocols_are_read(tmp_path: Path, protocol: int) -> None:
    value = {"a.jpg": np.arange(6, dtype=np.float32).reshape(1, 6), "n": np.float32(2)}
    (tmp_path / "x.p").write_bytes(pickle.dumps(value, protocol))
    found = read_pickle(tmp_path / "x.p", "the vectors")
    np.testing.assert_array_equal(found["a.jpg"], value["a.jpg"])


def test_damaged_and_missing_files_are_named(tmp_path: Path) -> None:
    write_pickle(tmp_path / "x.p", {"a": np.zeros(100)})
    (tmp_path / "x.p").write_bytes((tmp_path / "x.p").read_bytes()[:200])
    for name in ("x.p", "y.p"):
        with pytest.raises(CaptioningError, match=name):
            read_pickle(tmp_path / name, "the vectors")


@pytest.mark.parametrize("protocol", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_arrays_of_python_2_are_read(tmp_path: Path, protocol: int, dtype: str) -> None:
    vectors = {"é.jpg": np.linspace(-300, 300, 7).astype(dtype).reshape(1, 7)}
    (tmp_path / "x.p").write_bytes(python_2_vectors(vectors, protocol))
    found = read_pickle(tmp_path / "x.p", "the vectors")
    np.testing.assert_array_equal(found["é.jpg"], vectors["é.jpg"], strict=True)


@pytest.mark.parametrize("protocol", [0, 2])
def test_arrays_of_numpy_1_are_read(tmp_path: Path, protocol: int) -> None:
    vectors = {"a.jpg": np.linspace(-300, 300, 7, dtype=np.float32)}
    (tmp_path / "x.p").write_bytes(with_numpy_1(pickle.dumps(vectors, protocol)))
    found = read_pickle(tmp_path / "x.p", "the vectors")
    np.testing.assert_array_equal(found["a.jpg"], vectors["a.jpg"], strict=True)


def test_old_programs_read_what_is_written(tmp_path: Path) -> None:
    vectors = {"a.jpg": np.linspace(-300, 300, 7, dtype=np.float32).reshape(1, 7)}
    write_pickle(tmp_path / "x.p", vectors)
    by_plain_pickle = by_old_program((tmp_path / "x.p").read_bytes())
    for found in (by_plain_pickle, read_pickle(tmp_path / "x.p", "the vectors")):
        np.testing.assert_array_equal(found["a.jpg"], vectors["a.jpg"], strict=True)
