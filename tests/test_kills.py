"""The real scripts killed at random moments: nothing is lost, nothing differs.

A few kills here; the many under the marker `nightly`: pytest -m nightly tests/test_kills.py
"""

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from captioning.vision.extraction import ExtractionSettings, extract_features
from captioning.vision.features import read_features
from tests.runs import (
    CountingEncoder,
    digests,
    features_command,
    finetune_command,
    run,
    start,
    train_command,
    weights_of,
)

KILLS_A_ROUND = 6
"""So many kills of one run, before it may end and is compared."""

BATCHES = ExtractionSettings(batch_size=4)


def kill_after(command: list[str], sign: Path, seconds: float) -> bool:
    """Kill the command so many seconds after the file `sign` shows that its work begins.

    Gives whether it was killed; otherwise it ended before.
    """
    process = start(command)
    end = time.monotonic() + 120
    while process.poll() is None and not sign.exists() and time.monotonic() < end:
        time.sleep(0.001)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def grids_of(folder: Path) -> np.ndarray:
    """The grids of all photos, in the photos' order."""
    features = read_features(folder)
    return np.array(features.grids[features.grid_rows(list(features.vectors)).reshape(-1)])


def kill_features(scenes: Path, whole: Path, output: Path, seed: int, kills: int) -> int:
    """Kill features.py so many times; compare each run that ends in between. Gives their number."""
    generator, done, rounds = random.Random(seed), 0, 0
    wanted = digests(whole, "features.p", "descriptions.txt", "tokenizer.p", "splits.json")
    while done < kills:
        shutil.rmtree(output, ignore_errors=True)
        rounds += 1
        for _ in range(min(KILLS_A_ROUND, kills - done)):
            # Half of the moments from the start on, half while the photos are encoded.
            sign = output / (generator.choice(["features.partial/vectors.f32", ".lock", "."]))
            seconds = generator.uniform(0, generator.choice([0.05, 0.5, 3]))
            done += kill_after(features_command(scenes, output), sign, seconds)
        code, messages = run(features_command(scenes, output))
        assert code == 0, messages
        assert digests(output, *wanted) == wanted
        np.testing.assert_array_equal(grids_of(output), grids_of(whole))
        remaining = {path.name for path in output.iterdir()}
        assert remaining == {path.name for path in whole.iterdir()}
    return rounds


def kill_train(undisturbed: list[str], whole: Path, output: Path, seed: int, kills: int) -> int:
    """As `kill_features`, for a training, continued with --resume."""
    generator, done, rounds = random.Random(seed), 0, 0
    progress = output / "checkpoint" / "progress.json"

    def command() -> list[str]:
        return [*undisturbed, *(["--resume"] if progress.exists() else [])]

    while done < kills:
        shutil.rmtree(output, ignore_errors=True)
        rounds += 1
        for _ in range(min(KILLS_A_ROUND, kills - done)):
            sign = generator.choice([output / "checkpoint", progress, output])
            seconds = generator.uniform(0, generator.choice([0.05, 1, 6]))
            done += kill_after(command(), sign, seconds)
            if (output / "captioner.json").exists() and not progress.exists():
                break  # killed when all was done
        else:
            code, messages = run(command())
            assert code == 0, messages
        assert digests(output, "trained_on.txt") == digests(whole, "trained_on.txt")
        assert history_of(output) == history_of(whole)
        for found, wanted in zip(weights_of(output), weights_of(whole), strict=True):
            np.testing.assert_array_equal(found, wanted)
    return rounds


def history_of(folder: Path) -> list[dict[str, str]]:
    """The rows of the history without the seconds, which differ."""
    with (folder / "history.csv").open(newline="") as file:
        return [row | {"seconds": ""} for row in csv.DictReader(file)]


def test_features_killed_ends_as_undisturbed(
    scenes_folder: Path, whole_features: Path, tmp_path: Path
) -> None:
    assert kill_features(scenes_folder, whole_features, tmp_path / "out", seed=1, kills=3) >= 1


def test_training_killed_ends_as_undisturbed(
    whole_features: Path, whole_training: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    command = train_command(whole_features, output)
    assert kill_train(command, whole_training, output, seed=1, kills=2) >= 1


def test_finetuning_killed_ends_as_undisturbed(
    whole_features: Path, whole_training: Path, whole_finetuning: Path, tmp_path: Path
) -> None:
    before, after = weights_of(whole_training), weights_of(whole_finetuning)
    assert any((one != other).any() for one, other in zip(before, after, strict=True))
    output = tmp_path / "out"
    command = finetune_command(whole_features, whole_training, output)
    assert kill_train(command, whole_finetuning, output, seed=1, kills=2) >= 1


@pytest.mark.nightly
def test_features_killed_30_times(
    scenes_folder: Path, whole_features: Path, tmp_path: Path
) -> None:
    assert kill_features(scenes_folder, whole_features, tmp_path / "out", 2, kills=30) >= 5


@pytest.mark.nightly
def test_training_killed_30_times(
    whole_features: Path, whole_training: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    command = train_command(whole_features, output)
    assert kill_train(command, whole_training, output, 2, kills=30) >= 5


@pytest.mark.nightly
def test_finetuning_killed_20_times(
    whole_features: Path, whole_training: Path, whole_finetuning: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    command = finetune_command(whole_features, whole_training, output)
    assert kill_train(command, whole_finetuning, output, 2, kills=20) >= 3


@pytest.mark.nightly
@pytest.mark.parametrize("decoder", ["attention", "transformer"])
def test_decoders_with_attention_killed_10_times_each(
    whole_features: Path, tmp_path: Path, decoder: str
) -> None:
    options = ["--decoder", decoder, "--width", "24", "--batch-size", "8"]
    whole, output = tmp_path / "whole", tmp_path / "out"
    code, messages = run([*train_command(whole_features, whole), *options])
    assert code == 0, messages
    assert kill_train([*train_command(whole_features, output), *options], whole, output, 2, 10) >= 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("update", [False, True], ids=["anew", "one photo more"])
def test_a_kill_at_each_call_that_touches_the_disk(
    scenes_folder: Path, tmp_path: Path, update: bool
) -> None:
    """A child is killed before its first, second, ... call; what it leaves is continued.

    With one photo more than a finished run has, no call may cost more than that photo.
    """
    images, encoder = scenes_folder / "Flicker8k_Dataset", CountingEncoder()
    names = sorted(path.name for path in images.iterdir())[:12]
    whole = extract_features(encoder, images, names, tmp_path / "whole", BATCHES)
    wanted = digests(tmp_path / "whole", "features.p")
    calls = 0
    while True:
        output = tmp_path / f"out-{calls}"
        if update:
            extract_features(encoder, images, names[:-1], output, BATCHES)
        child = os.fork()
        if child == 0:
            die_at_call(calls)
            extract_features(encoder, images, names, output, BATCHES)
            os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        encoder.encoded = 0
        again = extract_features(encoder, images, names, output, BATCHES)
        assert digests(output, "features.p") == wanted
        assert list(again.vectors) == list(whole.vectors)
        assert not (output / "features.partial").exists()
        assert encoder.encoded <= (1 if update else 12)
        shutil.rmtree(output)
        calls += 1
        if ended == 0:
            break
    assert calls > 20


def die_at_call(number: int) -> None:
    """From now on kill this process before that call that opens, renames or removes a file."""
    count = 0

    def watch(event: str, arguments: tuple) -> None:
        nonlocal count
        if event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate") or (
            event == "open" and "out-" in str(arguments[0])
        ):
            if count == number:
                os._exit(9)
            count += 1

    sys.addaudithook(watch)
