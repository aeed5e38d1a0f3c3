"""The real scripts killed at random moments, stopped, short of disk, twice at once: nothing lost.

A few kills here; the many under the marker `nightly`: pytest -m nightly tests/test_kills.py
"""

import csv
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from captioning.errors import CaptioningError
from captioning.files.locks import only_run
from captioning.files.text import write_text
from captioning.inference.trained_model import load_trained_model
from captioning.vision.encoders import ENCODERS
from captioning.vision.extraction import extract_features
from captioning.vision.feature_writer import FeatureWriter
from captioning.vision.features import read_features
from tests.conftest import ROOT, script

KILLS_A_ROUND = 6


def features_command(scenes: Path, output: Path) -> list[str]:
    """The features.py run that is killed: small batches, so that there are many of them."""
    return [
        sys.executable,
        str(ROOT / "features.py"),
        "--images",
        str(scenes / "Flicker8k_Dataset"),
        "--text",
        str(scenes / "Flickr_8k_text"),
        "--output",
        str(output),
        "--encoder",
        "mini-xception",
        "--min-count",
        "2",
        "--batch-size",
        "4",
        "--grids",
    ]


def train_command(data: Path, output: Path) -> list[str]:
    """The train.py run that is killed."""
    return [
        sys.executable,
        str(ROOT / "train.py"),
        "--data",
        str(data),
        "--output",
        str(output),
        "--epochs",
        "6",
        "--width",
        "16",
        "--batch-size",
        "32",
        "--seed",
        "5",
        "--learning-rate",
        "3e-3",
    ]


def finetune_command(data: Path, initial: Path, output: Path) -> list[str]:
    """The fine-tuning that is killed."""
    return [
        sys.executable,
        str(ROOT / "train.py"),
        "--data",
        str(data),
        "--output",
        str(output),
        "--initial",
        str(initial),
        "--finetune",
        "cider",
        "--epochs",
        "4",
        "--samples",
        "3",
        "--learning-rate",
        "1e-3",
        "--seed",
        "5",
    ]


def start(command: list[str], **options: object) -> subprocess.Popen:
    """The command, running."""
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options
    )


def run(command: list[str], **options: object) -> tuple[int, str]:
    """The command's exit code and messages."""
    process = start(command, **options)
    _, messages = process.communicate(timeout=600)
    return process.returncode, messages


def kill_after(command: list[str], sign: Path, seconds: float) -> bool:
    """Kill the command so many seconds after `sign` shows that its work begins, or without one.

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


def digests(folder: Path, *names: str) -> dict[str, str]:
    """The SHA-256 of files."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def grids_of(folder: Path) -> np.ndarray:
    """The grids of all photos, in the photos' order."""
    features = read_features(folder)
    return np.array(features.grids[features.grid_rows(list(features.vectors)).reshape(-1)])


def kill_features(scenes: Path, whole: Path, output: Path, seed: int, kills: int) -> int:
    """Kill features.py until there were `kills`; each time it ends at last, compare. Gives ends."""
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
        left = {path.name for path in output.iterdir()}
        assert left == {path.name for path in whole.iterdir()}
    return rounds


def kill_train(undisturbed: list[str], whole: Path, output: Path, seed: int, kills: int) -> int:
    """Kill a training until there were `kills`, going on with --resume; compare. Gives the ends."""
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


def weights_of(folder: Path) -> list[np.ndarray]:
    """The weights of a trained model; its file differs by the names that Keras makes up."""
    return load_trained_model(folder).model.get_weights()


def history_of(folder: Path) -> list[dict[str, str]]:
    """The rows of the history without the seconds, which differ."""
    with (folder / "history.csv").open(newline="") as file:
        return [row | {"seconds": ""} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole_features(scenes_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an undisturbed features.py writes."""
    output = tmp_path_factory.mktemp("whole") / "data"
    code, messages = run(features_command(scenes_folder, output))
    assert code == 0, messages
    return output


@pytest.fixture(scope="module")
def whole_training(whole_features: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an undisturbed train.py writes."""
    output = tmp_path_factory.mktemp("whole") / "model"
    code, messages = run(train_command(whole_features, output))
    assert code == 0, messages
    return output


@pytest.fixture(scope="module")
def whole_finetuning(
    whole_features: Path, whole_training: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What an undisturbed fine-tuning writes."""
    output = tmp_path_factory.mktemp("whole") / "finetuned"
    code, messages = run(finetune_command(whole_features, whole_training, output))
    assert code == 0, messages
    return output


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
def test_decoders_that_look_killed_10_times_each(
    whole_features: Path, tmp_path: Path, decoder: str
) -> None:
    options = ["--decoder", decoder, "--width", "24", "--batch-size", "8"]
    whole, output = tmp_path / "whole", tmp_path / "out"
    code, messages = run([*train_command(whole_features, whole), *options])
    assert code == 0, messages
    assert kill_train([*train_command(whole_features, output), *options], whole, output, 2, 10) >= 1


class Counting:
    """An encoder of random numbers that counts the photos it is given."""

    settings = ENCODERS["mini-xception"]
    encoded = 0

    def signature(self) -> dict:
        """As an encoder's."""
        return {**self.settings.as_dict(), "weights": "none"}

    def encode(self, images: np.ndarray) -> np.ndarray:
        """A vector that is a function of the photo."""
        self.encoded += len(images)
        seeds = images.reshape(len(images), -1).sum(axis=1)
        return np.array(
            [np.random.default_rng(int(seed)).random(224, np.float32) for seed in seeds]
        )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("update", [False, True], ids=["anew", "one photo more"])
def test_a_kill_at_each_call_that_touches_the_disk(
    scenes_folder: Path, tmp_path: Path, update: bool
) -> None:
    """A child ends without a word before its first, second, ... call; what is left goes on.

    With one photo more than a finished run has, no call may cost more than that photo.
    """
    images, encoder = scenes_folder / "Flicker8k_Dataset", Counting()
    names = sorted(path.name for path in images.iterdir())[:12]
    whole = extract_features(encoder, images, names, tmp_path / "whole", 4)
    wanted = digests(tmp_path / "whole", "features.p")
    calls = 0
    while True:
        output = tmp_path / f"out-{calls}"
        if update:
            extract_features(encoder, images, names[:-1], output, 4)
        child = os.fork()
        if child == 0:
            die_at_call(calls)
            extract_features(encoder, images, names, output, 4)
            os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        encoder.encoded = 0
        again = extract_features(encoder, images, names, output, 4)
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
    """From now on end the process at that call that opens, renames or removes a file."""
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


def stopping(batches: int) -> str:
    """A program that is features.py, but gets a Ctrl-C after so many batches.

    Where the tests run in a script's background the shell has them ignore Ctrl-C: not this one.
    """
    return (
        "import runpy, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from captioning.store import FeatureWriter\n"
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


def test_stopped_by_hand_it_says_how_to_go_on(
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
    """What a child calls before it runs: no file may get larger than that, as on a full disk."""
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
    """Whether this system lets us mount a disk of our own."""
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
            "unshare",
            "-rm",
            "sh",
            "-c",
            ON_A_SMALL_DISK,
            "sh",
            str(size + 300_000),
            str(tmp_path),
            str(whole_features),
            *command,
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


def test_photos_that_were_only_touched_are_not_done_again(
    scenes_folder: Path, tmp_path: Path
) -> None:
    images = tmp_path / "images"
    shutil.copytree(scenes_folder / "Flicker8k_Dataset", images)
    names = sorted(path.name for path in images.iterdir())[:8]
    encoder = Counting()
    extract_features(encoder, images, names, tmp_path / "out", 4)
    before = read_features(tmp_path / "out")
    for name in names:
        os.utime(images / name, (1, 1))
    encoder.encoded = 0
    extract_features(encoder, images, names, tmp_path / "out", 4)
    assert encoder.encoded == 0
    after = read_features(tmp_path / "out")
    assert [after.stamps[n][1] for n in names] == [10**9] * 8
    assert [after.stamps[n][2] for n in names] == [before.stamps[n][2] for n in names]
    content = bytearray((images / names[0]).read_bytes())
    other = sorted(images.iterdir())[20].read_bytes()
    content[:] = other[: len(content)].ljust(len(content), b"\0")  # of the same size
    (images / names[0]).write_bytes(content)
    extract_features(encoder, images, names[:-2], tmp_path / "out", 4)
    assert encoder.encoded <= 1
    assert set(read_features(tmp_path / "out").vectors) | {names[0]} == set(names[:-2])


def test_what_an_old_run_wrote_without_contents_is_taken_over(
    scenes_folder: Path, tmp_path: Path
) -> None:
    """Stamps had no SHA-256 once; size and time say enough as long as they are the same."""
    images, encoder = scenes_folder / "Flicker8k_Dataset", Counting()
    names = sorted(path.name for path in images.iterdir())[:4]
    extract_features(encoder, images, names, tmp_path / "out", 4)
    about = json.loads((tmp_path / "out" / "features.json").read_text())
    about["stamps"] = {name: stamp[:2] for name, stamp in about["stamps"].items()}
    write_text(tmp_path / "out" / "features.json", json.dumps(about))
    writer = FeatureWriter(tmp_path / "out", encoder.signature())
    assert all(writer.is_done(name, images / name) for name in names)
    writer.close()


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
    from captioning.inference.trained_model import load_trained_model

    assert all(np.isfinite(np.asarray(w)).all() for w in load_trained_model(output).model.weights)
    refused = script("train.py", *train_command(whole_features, output)[2:], "--resume")
    assert refused.returncode == 2
    assert "nothing to resume" in refused.stderr
