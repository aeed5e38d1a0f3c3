"""The caption command: formats, exit codes, bad photos, wrong arguments."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioning import load
from captioning.data.prepared import read_prepared
from captioning.evaluation.predictions import caption_photos
from tests.conftest import ROOT, Run, processor_seconds, script


def test_one_photo_one_line(model_folder: Path, odd_photos: Path) -> None:
    done = script("caption_generator.py", "--model", model_folder, "-i", odd_photos / "colour.png")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert done.stdout.split()
    assert "<" not in done.stdout
    assert done.stderr == ""


def test_a_folder_with_a_bad_file(model_folder: Path, odd_photos: Path) -> None:
    done = script(
        "caption_generator.py",
        "--model",
        model_folder,
        "-i",
        odd_photos,
        "--format",
        "jsonl",
        "--beam",
        3,
        "--top",
        2,
    )
    assert done.returncode == 1
    assert "broken.jpg: not an image" in done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    captions = {Path(row["image"]).name: row for row in rows}
    assert set(captions) == {
        "colour.png",
        "gray.jpg",
        "palette.gif",
        "-dash and space.png",
        "turned.png",
    }
    colour = captions["colour.png"]
    assert captions["turned.png"]["caption"] == colour["caption"]
    assert captions["-dash and space.png"]["score"] == pytest.approx(colour["score"], abs=1e-3)
    assert colour["captions"][0]["caption"] == colour["caption"]
    assert len(colour["captions"]) == 2
    assert colour["score"] < 0


def test_a_single_file_that_is_no_image(model_folder: Path, odd_photos: Path) -> None:
    done = script("caption_generator.py", "--model", model_folder, "-i", odd_photos / "broken.jpg")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "broken.jpg: not an image" in done.stderr


def test_csv_and_text_of_several(model_folder: Path, odd_photos: Path) -> None:
    files = [odd_photos / "colour.png", odd_photos / "gray.jpg"]
    done = script("caption_generator.py", "--model", model_folder, "-i", *files, "--format", "csv")
    table = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["image"] for row in table] == list(map(str, files))
    assert all(row["caption"] and float(row["score"]) < 0 for row in table)
    done = script("caption_generator.py", "--model", model_folder, "-i", *files)
    assert [line.split("\t")[1] for line in done.stdout.splitlines()] == [
        row["caption"] for row in table
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-i", "nowhere.jpg"], "no file nowhere.jpg"),
        (["-i", "x.jpg", "--beam", "0"], "--beam 0"),
        (["-i", "x.jpg", "--top", "2"], "jsonl"),
        (["-i", "x.jpg", "--model", "nowhere"], "folder nowhere is missing"),
        (["-i", "x.jpg", "--weights", "none.h5"], "none.h5 is missing"),
        (["-i", "x.jpg", "--length-penalty", "1"], "give --beam too"),
        (
            ["-i", "x.jpg", "--length-penalty", "nan"],
            "--length-penalty nan is not from -100 to 100",
        ),
        (["-i", "x.jpg", "--views", "5"], "--views 5 is not from 1 to 4"),
        (["-i", "x.jpg", "--no-repeat", "-1"], "--no-repeat -1 is not at least 0"),
        (["-i", "x.jpg", "--max-words", "0"], "--max-words 0"),
        (["-i", "x.jpg", "--max-pixels", "0"], "--max-pixels 0"),
        (["-i", "x.jpg", "--unsure", "1.5"], "--unsure 1.5 is not between"),
        (["-i", "x.jpg", "--resume"], "--resume wants -o"),
        (["-i", "x.jpg", "--resume", "--overwrite", "-o", "y"], "give one of them"),
        (["-i", "x.jpg", "--unsure", "0.2", "--format", "sidecar"], "sidecar holds"),
        (["-i", "x.jpg", "--unsure", "0.2", "--resume", "-o", "y"], "keeps no scores"),
        (["-i", "x.jpg", "--attention", "a.png"], "has no attention"),
        (["-i", "docs", "--embed", "docs"], "photos are never changed"),
        (["-i", "docs", "--recursive", "--embed", "docs/x"], "captioned themselves"),
        (["-i", "docs", "-o", "LICENSE"], "LICENSE exists already"),
        (
            ["-i", "docs", "-o", "a.docx"],
            "no format for .docx; known are .csv, .htm, .html, .jsonl",
        ),
        (["-i", "docs", "-o", "a.XLSX"], "or name one with --format"),
        ([], "name a photo, or a folder of photos"),
    ],
)
def test_wrong_arguments_end_soon_in_a_message(
    model_folder: Path, arguments: list[str], message: str
) -> None:
    model = [] if "--model" in arguments else ["--model", model_folder]
    began = processor_seconds()
    done = script("caption_generator.py", *model, *arguments)
    assert processor_seconds() - began < 1.5
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_python_and_script_give_the_same_captions(
    model_folder: Path, data_folder: Path, scenes_folder: Path
) -> None:
    captioner = load(model_folder)
    prepared = read_prepared(data_folder)
    stored = caption_photos(captioner, prepared, prepared.splits["test"], beam=1)
    photos = [scenes_folder / "Flicker8k_Dataset" / name for name in stored]
    fresh = {c.image.name: c.caption for c in captioner.caption(photos)}
    same = np.mean([fresh[name] == caption for name, (caption, _) in stored.items()])
    assert same >= 0.9  # a rounding apart, the vectors are the same


def test_photos_above_max_pixels_are_skipped(run_caption: Run, odd_photos: Path) -> None:
    width, height = Image.open(odd_photos / "colour.png").size
    names = [odd_photos / "colour.png", odd_photos / "gray.jpg"]
    assert run_caption("-i", *names, "--max-pixels", width * height)[0] == 0
    code, printed, messages = run_caption("-i", *names, "--max-pixels", width * height - 1)
    assert (code, printed) == (1, "")
    assert messages.count("pixels are more than the limit") == 2


def test_a_name_that_steers_a_terminal_is_escaped_in_the_messages(
    run_caption: Run, odd_photos: Path
) -> None:
    names = [odd_photos / "colour.png", odd_photos / "\x1b[2J.jpg", odd_photos / "two\nlines.jpg"]
    code, _, messages = run_caption("-i", *names)
    assert code == 1
    assert "\\x1b[2J.jpg: no such file\n" in messages
    assert "two\\nlines.jpg: no such file\n" in messages
    code, _, messages = run_caption("-i", names[1])
    assert (code, "\x1b" in messages) == (2, False)


@pytest.mark.skipif(sys.platform == "win32", reason="wants a pseudo-terminal, as Unix has them")
def test_a_progress_bar_on_a_terminal_alone(
    model_folder: Path, nested_photos: Path, tmp_path: Path
) -> None:
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "caption_generator.py"),
            "--model",
            str(model_folder),
            "-i",
            str(nested_photos / "in side"),
            "--format",
            "csv",
        ],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    ) as process:
        printed = process.communicate(timeout=120)[0]
        os.close(theirs)
        seen = b""
        try:
            while part := os.read(ours, 65536):
                seen += part
        except OSError:  # how Linux ends a pseudo-terminal
            pass
        os.close(ours)
    assert process.returncode == 0
    assert b"40/40" in seen
    assert len(list(csv.reader(io.StringIO(printed)))) == 41
    assert "40/40" not in printed
