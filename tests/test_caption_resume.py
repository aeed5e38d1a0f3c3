"""The caption command stopped at random moments, resumed, and run twice at once."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from captioning.output.targets import only_writer
from tests.conftest import ROOT, Run, processor_seconds, script


def start(*arguments: object) -> subprocess.Popen:
    """The script in a process of its own, to be stopped."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "caption_generator.py"), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stop_at(process: subprocess.Popen, output: Path, size: int, how: signal.Signals) -> str:
    """Stop a process once its output has `size` bytes (or it has ended); its messages."""
    while process.poll() is None and (not output.exists() or output.stat().st_size < size):
        time.sleep(0.001)
    process.send_signal(how)
    return process.communicate(timeout=60)[1]


def stop_and_resume(
    run: Run, model: Path, photos: Path, folder: Path, stops: int, seed: int
) -> None:
    """Stop runs at random places; what the last one makes is what an undisturbed one makes."""
    generator = random.Random(seed)
    endings = ("csv", "jsonl", "html")
    for ending in endings:
        whole = folder / f"whole.{ending}"
        assert run("-i", photos, "--recursive", "-o", whole, "--unsure", 0.2)[0] == 1
    midway = 0
    for number in range(stops):
        ending = endings[number % 3]
        whole, output = folder / f"whole.{ending}", folder / f"stopped.{ending}"
        arguments = ["-i", photos, "--recursive", "-o", output, "--unsure", 0.2]
        process = start("--model", model, *arguments)
        how = signal.SIGINT if number == 0 else signal.SIGKILL
        size = generator.randrange(1, whole.stat().st_size)
        messages = stop_at(process, output, size, how)
        if how == signal.SIGINT and process.returncode == 130:
            assert "the same command with --resume continues" in messages
            assert "Traceback" not in messages
        left = output.read_bytes() if output.exists() else b""
        code, _, messages = run(*arguments, "--resume")
        assert code == 1, messages
        assert sorted(output.read_text().split("\n")) == sorted(whole.read_text().split("\n"))
        done = int(messages.split(" of ")[0])
        assert done >= left.count(b"\n") - 36  # the lines of a page's head, and of a name
        midway += 0 < done < 121
        output.unlink()
    assert midway > stops / 3


def test_a_stopped_run_resumes_and_ends_as_an_uninterrupted_one(
    run_caption: Run, model_folder: Path, nested_photos: Path, tmp_path: Path
) -> None:
    stop_and_resume(run_caption, model_folder, nested_photos, tmp_path, stops=3, seed=7)


@pytest.mark.nightly
def test_runs_stopped_at_fifty_places_resume(
    run_caption: Run, model_folder: Path, nested_photos: Path, tmp_path: Path
) -> None:
    stop_and_resume(run_caption, model_folder, nested_photos, tmp_path, stops=50, seed=8)


def test_a_file_cut_off_in_a_row_is_resumed(
    run_caption: Run, nested_photos: Path, tmp_path: Path
) -> None:
    output = tmp_path / "c.csv"
    assert run_caption("-i", nested_photos, "-o", output)[0] == 1
    whole = output.read_bytes()
    output.write_bytes(whole[: len(whole) // 2])
    done = whole[: len(whole) // 2].count(b"\n")
    code, printed, messages = run_caption("-i", nested_photos, "-o", output, "--resume")
    assert (code, printed) == (1, "")
    assert output.read_bytes() == whole
    assert int(messages.split(" of ")[0]) in (done - 1, done - 2)  # a name has two lines
    assert "broken.jpg: not an image" in messages
    code, _, messages = run_caption("-i", nested_photos / "in side", "-o", output, "--resume")
    assert code == 0
    assert run_caption("-i", nested_photos / "in side", "-o", output, "--resume")[2].startswith(
        "40 of 40"
    )
    assert run_caption("-i", nested_photos, "-o", output)[0] == 2
    assert run_caption("-i", nested_photos / "in side", "-o", output, "--overwrite")[0] == 0
    assert output.read_text().count("\n") == 41
    assert [path.name for path in tmp_path.iterdir()] == ["c.csv"]


def test_a_second_run_on_one_output_is_refused_at_once(
    model_folder: Path, odd_photos: Path, tmp_path: Path
) -> None:
    output = tmp_path / "c.csv"
    with only_writer(output):
        began = processor_seconds()
        done = script(
            "caption_generator.py", "--model", model_folder, "-i", odd_photos, "-o", output
        )
        assert processor_seconds() - began < 1.5
    assert done.returncode == 2
    assert "another run is writing" in done.stderr
    assert not output.exists()
