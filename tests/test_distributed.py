"""Training on several processes: shares of batches, the same result, and processes that end."""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from captioning.commands import train_distributed
from captioning.errors import CaptioningError
from captioning.training import batches as batches_module
from captioning.training.batches import Batches, CaptionBatches, PhotoBatches
from captioning.training.distribution import Share
from captioning.training.epoch import EpochBar
from captioning.training.history import read_history
from tests.conftest import ROOT
from tests.distributed_trainings import train as train_here
from tests.made_up_data import write_made_up_data

CAPTIONS = [[[4, 5], [6]], [[4, 6, 5, 4]], [[5, 5], [6, 4]], [[4, 4, 6]], [[5], [6, 6]]]
FLAT = [tokens for own in CAPTIONS for tokens in own]


def caption_batches() -> Batches:
    vectors = np.arange(15, dtype=np.float32).reshape(5, 3)
    return CaptionBatches(vectors, np.array([0, 0, 1, 2, 2, 3, 4, 4]), FLAT, 5, seed=2)


def photo_batches() -> Batches:
    grids = np.arange(60, dtype=np.float16).reshape(10, 2, 3)
    return PhotoBatches(grids, np.arange(10).reshape(5, 2), CAPTIONS, 3, seed=2)


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize("make", [caption_batches, photo_batches])
def test_the_shares_of_a_batch_are_the_batch(
    make: Callable[[], Batches], processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make()
    parts = []
    for process in range(processes):
        share = Share(process, processes, processes)
        monkeypatch.setattr(batches_module, "own_share", lambda share=share: share)
        parts.append(make())
    for index in range(len(whole)):
        (photos, words), targets, weights = whole[index]
        items = [part[index] for part in parts]
        assert len({item[2].shape for item in items}) == 1, "JAX wants equal shapes"
        rows, filled = parts[0].rows_at(index)
        assert rows == len(photos) and filled == processes * len(items[0][2])
        np.testing.assert_array_equal(np.concatenate([i[0][0] for i in items])[:rows], photos)
        np.testing.assert_array_equal(np.concatenate([i[0][1] for i in items])[:rows], words)
        np.testing.assert_array_equal(np.concatenate([i[1] for i in items])[:rows], targets)
        found = np.concatenate([i[2] for i in items])
        assert not found[rows:].any()
        # A mean over the batch, and one over its weights, is as it was.
        np.testing.assert_allclose(found[:rows] / filled, weights / rows, rtol=1e-6)
        assert parts[0].words_at(index) == int((weights > 0).sum())
        own = np.concatenate([part.captions_at(index) for part in parts])
        np.testing.assert_array_equal(own[:rows], whole.captions_at(index))
        assert (own[rows:] == -1).all()


def test_the_mean_loss_leaves_out_the_rows_that_fill_a_batch() -> None:
    rows, losses = [(5, 8), (5, 8), (2, 4), (5, 8)], [3.0, 2.0, 7.0, 1.0]
    bar = EpochBar(rows, 1, 1)
    total = counted = 0.0
    for batch, ((_, filled), loss) in enumerate(zip(rows, losses, strict=True)):
        total, counted = total + filled * loss, counted + filled
        bar._advance(batch, {"loss": total / counted})  # as Keras counts
    bar.end(bar.loss, {"dev_loss": 0.0})
    assert bar.loss == pytest.approx((5 * 3 + 5 * 2 + 2 * 7 + 5 * 1) / 17)


def options(**given: object) -> argparse.Namespace:
    return argparse.Namespace(**{"address": None, "processes": None, "process": None, **given})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"address": "10.0.0.1"}, "is not HOST:PORT"),
        ({"address": "10.0.0.1:x"}, "is not HOST:PORT"),
        ({"address": "10.0.0.1:70000", "processes": 2, "process": 0}, "is not HOST:PORT"),
        ({"address": "10.0.0.1:47"}, "--processes and --process must be given"),
        ({"processes": 2, "process": 1}, "--address must be given"),
        ({"address": "a:1", "processes": 2, "process": 2}, "--process 2 is not from 0 to 1"),
    ],
)
def test_a_place_that_can_not_be_is_refused(
    given: dict, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(CaptioningError, match=message):
        train_distributed.place_of(options(**given))


def test_keras_own_variables_say_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("KERAS_DISTRIBUTION_JOB_ADDRESSES", "10.0.0.1:4711,10.0.0.2:4711")
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "1")
    found = train_distributed.place_of(options())
    assert (found.address, found.processes, found.process) == ("10.0.0.1:4711", 2, 1)
    assert train_distributed.place_of(options(process=0)).process == 0
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "first")
    with pytest.raises(CaptioningError, match="'first', not a number"):
        train_distributed.place_of(options())


def test_another_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    with pytest.raises(CaptioningError, match="KERAS_BACKEND=jax"):
        train_distributed.place_of(options())


def test_an_address_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(train_distributed, "JOINED_AFTER", 1)
    address = f"127.0.0.1:{free_port()}"
    wanted = options(address=address, processes=2, process=1)
    with pytest.raises(CaptioningError, match=f"nobody answers at {address}"):
        train_distributed.train_distributed(wanted, lambda _: 0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def jax_environment() -> dict[str, str]:
    # Optimising takes longer than computing here.
    return {**os.environ, "KERAS_BACKEND": "jax", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


def start_all(command: list[object], processes: int) -> list[subprocess.Popen]:
    """The processes of a training, process 0 first, told where they meet by options."""
    place = ["--distributed", "--address", f"127.0.0.1:{free_port()}", "--processes", processes]
    return [
        subprocess.Popen(
            [sys.executable, *map(str, [*command, *place, "--process", process])],
            cwd=ROOT,
            env=jax_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for process in range(processes)
    ]


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made-up") / "data"
    write_made_up_data(folder)
    return folder


def run_trainings(data: Path, output: Path, processes: int, *names: str, devices: int = 1) -> None:
    """`tests/distributed_trainings.py` in so many processes, into `output / str(processes)`.

    devices: so many a process, as a machine with several GPUs has; above 1 they are in the folder's
    name, too.
    """
    address = f"127.0.0.1:{free_port()}"
    folder = output / (f"{processes}x{devices}" if devices > 1 else str(processes))
    module = [sys.executable, "-m", "tests.distributed_trainings", data, folder]
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    running = [
        subprocess.Popen(
            [*map(str, [*module, address, processes, process, *names])],
            cwd=ROOT,
            env=jax_environment() | flags,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for process in range(processes)
    ]
    for process in running:
        _, messages = process.communicate(timeout=900)
        assert process.returncode == 0, messages[-3000:]


def compare_histories(
    one: Path, other: Path, tolerance: float = 1e-5, only: tuple[str, ...] = ()
) -> None:
    """Two trainings have the same figures in each epoch. only: those to compare; all without."""
    histories = read_history(one), read_history(other)
    assert len(histories[0]) == len(histories[1]) == 2
    for theirs, ours in zip(*histories, strict=True):
        assert ours.keys() == theirs.keys()
        for key in only or ours.keys() - {"seconds"}:
            assert ours[key] == pytest.approx(theirs[key], rel=tolerance, abs=1e-7), (other, key)


def test_two_processes_and_another_backend_give_the_history_of_one(
    made_up: Path, tmp_path: Path
) -> None:
    """7 rows a batch, which two don't divide; resumed from TensorFlow to JAX, and back."""
    train_here("stopped", made_up, tmp_path / "tensorflow")
    shutil.copytree(tmp_path / "tensorflow" / "stopped", tmp_path / "2" / "stopped-there")
    (tmp_path / "tensorflow" / "stopped").rename(tmp_path / "tensorflow" / "stopped-there")
    run_trainings(made_up, tmp_path, 1, "merge", "stopped")
    for where in ("2", "tensorflow"):
        shutil.copytree(tmp_path / "1" / "stopped", tmp_path / where / "stopped-on-jax")
    run_trainings(made_up, tmp_path, 2, "merge", "stopped-there", "stopped-on-jax")
    compare_histories(tmp_path / "1" / "merge", tmp_path / "2" / "merge")
    for name in ("stopped-there", "stopped-on-jax"):
        train_here(name, made_up, tmp_path / "tensorflow")
        # Not closer: Adam takes TensorFlow's sparse gradients of embeddings otherwise.
        folders = (tmp_path / "tensorflow" / name, tmp_path / "2" / name)
        compare_histories(*folders, 1e-3, ("loss", "dev_loss"))


@pytest.mark.nightly
def test_four_processes_give_the_history_of_one(made_up: Path, tmp_path: Path) -> None:
    """And two; merge and transformer, with cross-entropy and fine-tuned on CIDEr."""
    names = ("merge", "transformer", "merge-cider", "transformer-cider")
    for processes in (1, 2, 4):
        run_trainings(made_up, tmp_path, processes, *names)
    for processes in ("2", "4"):
        for name in names:
            compare_histories(tmp_path / "1" / name, tmp_path / processes / name)


@pytest.mark.nightly
def test_two_devices_of_one_process_need_no_flag(made_up: Path, tmp_path: Path) -> None:
    run_trainings(made_up, tmp_path, 1, "merge", "transformer")
    run_trainings(made_up, tmp_path, 1, "merge", "transformer", devices=2)
    for name in ("merge", "transformer"):
        compare_histories(tmp_path / "1" / name, tmp_path / "1x2" / name)


@pytest.mark.nightly
@pytest.mark.parametrize("lost", [0, 1])
def test_the_others_end_when_a_process_is_killed(made_up: Path, tmp_path: Path, lost: int) -> None:
    output = tmp_path / "model"
    command = ["train.py", "--data", made_up, "--output", output, "--width", 8]
    running = start_all([*command, "--batch-size", 8, "--epochs", 10_000, "--patience", 9999], 2)
    progress = output / "checkpoint" / "progress.json"
    until = time.monotonic() + 300
    while not progress.exists() and time.monotonic() < until:
        assert all(process.poll() is None for process in running)
        time.sleep(0.1)
    os.kill(running[lost].pid, signal.SIGKILL)
    began = time.monotonic()
    _, messages = running[1 - lost].communicate(timeout=120)
    assert time.monotonic() - began < 60
    assert running[1 - lost].returncode == 2, messages
    assert f"error: process {lost} of 2 has ended" in messages and "--resume" in messages
    assert "Traceback" not in messages
    running[lost].communicate()
    # What is written goes on in one process, on TensorFlow.
    epochs = 1 + len(read_history(output))
    resumed = subprocess.run(
        [sys.executable, *map(str, [*command, "--batch-size", 8, "--patience", 9999])]
        + ["--epochs", str(epochs + 1), "--resume"],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert resumed.returncode == 0, resumed.stderr
    assert (output / "captioner.json").exists()
