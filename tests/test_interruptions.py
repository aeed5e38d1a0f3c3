"""Ctrl-C, full disks, two runs on one output, a loss that is not finite: nothing is lost."""

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from captioning.errors import CaptioningError
from captioning.files.locks import only_run
from captioning.vision.features import read_features
from tests.conftest import ROOT, script
from tests.runs import digests, features_command, finetune_command, run, train_command, weights_of


def stopping(batches: int) -> str:
    """A program that is features.py, but gets a Ctrl-C after so many batches.

    A shell starts what runs in a script's background with Ctrl-C ignored, and so maybe the tests;
    this program takes it again.
    """
    return (
        "import runpy, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from captioning.vision.feature_writer import FeatureWriter\n"
        "real, count = FeatureWriter.add, 0\n"
        "def add(*arguments):\n"
        "    global count\n"
        "    real(*arguments)\n"
        "    count += 1\n"
        f"    if count == {batches}: signal.raise_signal(signal.SIGINT)\n"
        "FeatureWriter.add = add\n"
        f"sys.argv[0] = {str(ROOT / 'features.py')!r}\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )


def test_stopped_by_hand_it_says_how_to_continue(
    scenes_folder: Path, whole_features: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    command = features_command(scenes_folder, output)
    code, messages = run([sys.executable, "-c", stopping(3), *command[2:]], cwd=ROOT)
    assert code == 130, messages
    assert "stopped; the same command continues from here" in messages
    assert "Traceback" not in messages
    index = output / "features.partial" / "index.jsonl"
    assert index.read_bytes().count(b"\n") == 4  # what made them, and three batches
    code, messages = run(command)
    assert code == 0
    assert digests(output, "features.p") == digests(whole_features, "features.p")


def smaller_files(megabytes: float) -> object:
    """Gives what a child calls before it runs: no file may get larger, as on a full disk."""
    limit = int(megabytes * (1 << 20))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def test_a_full_disk_ends_in_a_message_and_leaves_the_old_files(
    scenes_folder: Path, whole_features: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    shutil.copytree(whole_features, output)
    wanted = digests(output, "features.p", "features.json")
    command = [*features_command(scenes_folder, output), "--views", "2"]
    code, messages = run(command, preexec_fn=smaller_files(0.8))
    assert code == 2, messages
    assert "cannot write" in messages
    assert "make room" in messages
    assert "Traceback" not in messages
    assert digests(output, *wanted) == wanted
    code, messages = run(command)
    assert code == 0, messages
    read_features(output)


ON_A_SMALL_DISK = """
set -e
mount -t tmpfs -o size="$1" none "$2"
cp -r "$3" "$2/out"
cd "$2/out"
sha256sum features.p features.json
shift 3
code=0
"$@" 2>messages.txt || code=$?
sha256sum features.p features.json
echo "code $code"
cat messages.txt
"""


def may_mount() -> bool:
    """Whether this system lets a user mount a disk of its own."""
    try:
        done = subprocess.run(["unshare", "-rm", "true"], capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


@pytest.mark.skipif(not may_mount(), reason="this system lets nobody mount a small disk")
def test_a_disk_that_is_really_full_leaves_the_old_files(
    scenes_folder: Path, whole_features: Path, tmp_path: Path
) -> None:
    size = sum(path.stat().st_size for path in whole_features.rglob("*") if path.is_file())
    command = [*features_command(scenes_folder, tmp_path / "out"), "--views", "2"]
    done = subprocess.run(
        [
            *("unshare", "-rm", "sh", "-c", ON_A_SMALL_DISK, "sh"),
            *(str(size + 300_000), str(tmp_path), str(whole_features), *command),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    rows = done.stdout.splitlines()
    assert rows[4] == "code 2", done.stdout + done.stderr
    assert rows[:2] == rows[2:4]
    messages = "\n".join(rows[5:])
    assert "No space left on device" in messages
    assert "Traceback" not in messages


def test_a_full_disk_in_training_ends_in_a_message(whole_features: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    code, messages = run(train_command(whole_features, output), preexec_fn=smaller_files(0.1))
    assert code == 2, messages
    assert "cannot write" in messages
    assert "Traceback" not in messages
    code, messages = run(train_command(whole_features, output))
    assert code == 0, messages


def test_two_runs_on_one_output_refuse_each_other(
    scenes_folder: Path, whole_features: Path, tmp_path: Path
) -> None:
    with only_run(tmp_path / "out"):
        code, messages = run(features_command(scenes_folder, tmp_path / "out"))
        assert (code, "another run is writing" in messages) == (2, True)
        code, messages = run(train_command(whole_features, tmp_path / "out"))
        assert (code, "another run is writing" in messages) == (2, True)
        assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]
    with only_run(tmp_path / "out"), pytest.raises(CaptioningError, match="another run"):
        (tmp_path / "out" / ".features.123.p").write_text("left by a killed run")
        with only_run(tmp_path / "out"):
            pass
    with only_run(tmp_path / "out"):
        assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


def breaking(module: str, epoch: str) -> str:
    """A program that is train.py, but after two epochs the weights are NaN.

    epoch: the function of the module that trains an epoch.
    """
    return (
        "import sys, runpy\n"
        f"import captioning.{module} as m\n"
        "from captioning.training.checkpoint import Progress\n"
        f"real = m.{epoch}\n"
        "def broken(model, *others):\n"
        "    if next(o for o in others if isinstance(o, Progress)).epoch == 2:\n"
        "        for w in model.trainable_variables: w.assign(w * float('nan'))\n"
        "    return real(model, *others)\n"
        f"m.{epoch} = broken\n"
        f"sys.argv[0] = {str(ROOT / 'train.py')!r}\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )


def test_a_finetuning_that_breaks_keeps_the_best_epoch(
    whole_features: Path, whole_training: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    program = breaking("training.self_critical", "_finetune_epoch")
    command = finetune_command(whole_features, whole_training, output)
    code, messages = run([sys.executable, "-c", program, *command[2:]], cwd=ROOT)
    assert code == 2, messages
    assert "is not finite after 0 photos of epoch 3" in messages
    assert "is kept" in messages
    assert "Traceback" not in messages
    assert json.loads((output / "captioner.json").read_text())["training"]["best_epoch"] <= 2
    assert not (output / "checkpoint").exists()


def test_a_loss_that_breaks_later_keeps_the_best_epoch(
    whole_features: Path, tmp_path: Path
) -> None:
    """The third epoch's loss is made NaN; the second epoch's model is saved, and used."""
    output = tmp_path / "out"
    program = breaking("training.loop", "train_epoch")
    command = [sys.executable, "-c", program, *train_command(whole_features, output)[2:]]
    code, messages = run(command, cwd=ROOT)
    assert code == 2
    assert "is not finite at batch 1 of epoch 3" in messages
    assert "The model of epoch 2 is kept" in messages
    assert "Traceback" not in messages
    assert json.loads((output / "captioner.json").read_text())["training"]["best_epoch"] == 2
    assert not (output / "checkpoint").exists()
    assert all(np.isfinite(weight).all() for weight in weights_of(output))
    refused = script("train.py", *train_command(whole_features, output)[2:], "--resume")
    assert refused.returncode == 2
    assert "nothing to resume" in refused.stderr
