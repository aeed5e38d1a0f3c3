"""The standalone script: formats, exit codes, bad photos, broken model folders."""

import csv
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyexiv2
import pytest
from PIL import Image

from captioning import load
from captioning.commands import caption as caption_generator
from captioning.commands.run import run_main
from captioning.data.prepared import read_prepared
from captioning.errors import CaptioningError
from captioning.evaluation.predictions import caption_photos
from captioning.evaluation.scores import score_captions
from captioning.inference.description import read_description
from captioning.inference.models import choose_model
from captioning.output.formats import unsure_of
from captioning.output.targets import only_writer
from tests.conftest import BLOCK13, ROOT, script


@pytest.fixture(scope="module")
def photos(scenes_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scenes as odd files, and one that is no image."""
    folder = tmp_path_factory.mktemp("photos")
    scenes = sorted((scenes_folder / "Flicker8k_Dataset").iterdir())
    image = Image.open(scenes[0])
    image.save(folder / "colour.png")
    image.convert("L").save(folder / "gray.jpg")
    image.convert("P").save(folder / "palette.gif")
    image.convert("RGBA").save(folder / "-dash and space.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png", exif=exif)
    (folder / "notes.txt").write_text("not for captioning")
    (folder / "broken.jpg").write_text("no image")
    return folder


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, model_folder: Path) -> Run:
    """Runs the script here, where Keras is loaded already: (exit code, output, messages)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        model = [] if "--model" in arguments else ["--model", model_folder]
        line = [caption_generator.__file__, *model, *arguments]
        monkeypatch.setattr(sys, "argv", [*map(str, line)])
        with pytest.raises(SystemExit) as ended:
            run_main(caption_generator.main)
        return ended.value.code, *capsys.readouterr()

    return call


def test_one_photo_one_line(model_folder: Path, photos: Path) -> None:
    done = script("caption_generator.py", "--model", model_folder, "-i", photos / "colour.png")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert done.stdout.split()
    assert "<" not in done.stdout
    assert done.stderr == ""


def test_a_folder_with_a_bad_file(model_folder: Path, photos: Path) -> None:
    done = script(
        "caption_generator.py",
        "--model",
        model_folder,
        "-i",
        photos,
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


def test_a_single_file_that_is_no_image(model_folder: Path, photos: Path) -> None:
    done = script("caption_generator.py", "--model", model_folder, "-i", photos / "broken.jpg")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "broken.jpg: not an image" in done.stderr


def test_csv_and_text_of_several(model_folder: Path, photos: Path) -> None:
    files = [photos / "colour.png", photos / "gray.jpg"]
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
        (["-i", "x.jpg", "--length-penalty", "nan"], "no finite number"),
        (["-i", "x.jpg", "--views", "5"], "--views 5 is not from 1 to 4"),
        (["-i", "x.jpg", "--no-repeat", "-1"], "--no-repeat -1 is not at least 0"),
        (["-i", "x.jpg", "--max-words", "0"], "--max-words 0"),
        (["-i", "x.jpg", "--max-pixels", "0"], "--max-pixels 0"),
        (["-i", "x.jpg", "--unsure", "1.5"], "--unsure 1.5 is not between"),
        (["-i", "x.jpg", "--resume"], "--resume wants -o"),
        (["-i", "x.jpg", "--resume", "--overwrite", "-o", "y"], "give one of them"),
        (["-i", "x.jpg", "--unsure", "0.2", "--format", "sidecar"], "sidecar holds"),
        (["-i", "x.jpg", "--unsure", "0.2", "--resume", "-o", "y"], "keeps no scores"),
        (["-i", "x.jpg", "--attention", "a.png"], "looks nowhere"),
        (["-i", "docs", "--embed", "docs"], "photos are never changed"),
        (["-i", "docs", "--recursive", "--embed", "docs/x"], "captioned themselves"),
        (["-i", "docs", "-o", "README.md"], "README.md is there already"),
        ([], "required"),
    ],
)
def test_wrong_arguments_end_soon_in_a_message(
    model_folder: Path, arguments: list[str], message: str
) -> None:
    model = [] if "--model" in arguments else ["--model", model_folder]
    began = time.monotonic()
    done = script("caption_generator.py", *model, *arguments)
    assert time.monotonic() - began < 1.5
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "name", ["features.py", "train.py", "caption_generator.py", "demo.py", "evaluate.py"]
)
def test_help_comes_at_once(name: str) -> None:
    began = time.monotonic()
    done = script(name, "--help")
    assert done.returncode == 0
    assert time.monotonic() - began < 1


def test_python_and_script_say_the_same(
    model_folder: Path, data_folder: Path, scenes_folder: Path
) -> None:
    captioner = load(model_folder)
    prepared = read_prepared(data_folder)
    stored = caption_photos(captioner, prepared, prepared.splits["test"], beam=1)
    photos = [scenes_folder / "Flicker8k_Dataset" / name for name in stored]
    fresh = {c.image.name: c.caption for c in captioner.caption(photos)}
    same = np.mean([fresh[name] == caption for name, (caption, _) in stored.items()])
    assert same >= 0.9  # a rounding apart, the vectors are the same


@pytest.mark.parametrize("part", ["model.keras", "captioner.json"])
def test_a_folder_with_a_part_missing_or_damaged(
    model_folder: Path, photos: Path, tmp_path: Path, part: str
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(model_folder, folder)
    (folder / part).write_text("{")
    done = script("caption_generator.py", "--model", folder, "-i", photos / "colour.png")
    assert done.returncode == 2
    assert part in done.stderr
    assert "Traceback" not in done.stderr
    (folder / part).unlink()
    done = script("caption_generator.py", "--model", folder, "-i", photos / "colour.png")
    assert done.returncode == 2
    assert f"lacks {part}" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about: about["words"].pop(), "a vocabulary of"),
        (lambda about: about["encoder"].update(resize="nearest"), "resize 'nearest'"),
        (lambda about: about["encoder"].update(weights="0" * 16), "fingerprint"),
        (lambda about: about["cleaning"].update(lower=False), "cleaned by"),
        (lambda about: about.pop("max_length"), "'max_length' is missing"),
    ],
)
def test_parts_that_do_not_fit_are_named(
    model_folder: Path, photos: Path, tmp_path: Path, change: object, message: str
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(model_folder, folder)
    about = json.loads((folder / "captioner.json").read_text())
    change(about)
    (folder / "captioner.json").write_text(json.dumps(about))
    with pytest.raises(CaptioningError, match=message):
        list(load(folder).caption([photos / "colour.png"]))


def test_the_model_trained_last_is_chosen_and_the_demo_is_the_last_resort(
    model_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(CaptioningError, match="no trained model"):
        choose_model(tmp_path, tmp_path)
    years = {"demo": "2029", "flickr8k": "2028", "mine": "2025", "later": "2026"}
    for name, year in years.items():
        shutil.copytree(model_folder, tmp_path / name)
        about = json.loads((tmp_path / name / "captioner.json").read_text())
        about["trained_at"] = f"{year}-01-01T00:00:00+00:00"
        (tmp_path / name / "captioner.json").write_text(json.dumps(about))
    for name in ("later", "mine", "flickr8k", "demo"):
        assert choose_model(tmp_path, tmp_path).name == name
        shutil.rmtree(tmp_path / name)


def test_a_trained_model_is_not_overwritten_unasked(model_folder: Path, data_folder: Path) -> None:
    before = (model_folder / "captioner.json").read_bytes()
    done = script("train.py", "--data", data_folder, "--output", model_folder, "--epochs", 1)
    assert done.returncode == 2
    assert "--overwrite" in done.stderr
    assert (model_folder / "captioner.json").read_bytes() == before


def test_banned_words_are_never_said_and_captions_stay_short(
    model_folder: Path, data_folder: Path
) -> None:
    captioner = load(model_folder)
    vectors = read_prepared(data_folder).features.matrix(read_prepared(data_folder).splits["test"])
    free = [captioner.decoder.text(h[0]) for h in captioner.decoder.decode(vectors, beam=3)]
    word = free[0].split()[-1]
    for beam in (1, 3):
        found = captioner.decoder.decode(vectors, beam=beam, ban=[word.upper()], max_words=4)
        captions = [captioner.decoder.text(h[0]).split() for h in found]
        assert all(word not in caption and 1 <= len(caption) <= 4 for caption in captions)


@pytest.fixture(scope="module")
def many(scenes_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of scenes, a third of them in a folder inside, with odd names and a broken one."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "in side").mkdir()
    for place, scene in enumerate(sorted((scenes_folder / "Flicker8k_Dataset").iterdir())):
        shutil.copy(scene, folder / ("in side" if place % 3 == 0 else "") / scene.name)
    shutil.copy(scene, folder / '=two\nlines, "q".jpg')
    (folder / "broken.jpg").write_text("no image")
    return folder


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


def stop_and_go_on(
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
            assert "the same command with --resume goes on" in messages
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


def test_a_stopped_run_goes_on_and_ends_as_an_undisturbed_one(
    run: Run, model_folder: Path, many: Path, tmp_path: Path
) -> None:
    stop_and_go_on(run, model_folder, many, tmp_path, stops=3, seed=7)


@pytest.mark.nightly
def test_runs_stopped_at_fifty_places_go_on(
    run: Run, model_folder: Path, many: Path, tmp_path: Path
) -> None:
    stop_and_go_on(run, model_folder, many, tmp_path, stops=50, seed=8)


def test_a_file_cut_off_in_a_row_is_gone_on_with(run: Run, many: Path, tmp_path: Path) -> None:
    output = tmp_path / "c.csv"
    assert run("-i", many, "-o", output)[0] == 1
    whole = output.read_bytes()
    output.write_bytes(whole[: len(whole) // 2])
    done = whole[: len(whole) // 2].count(b"\n")
    code, printed, messages = run("-i", many, "-o", output, "--resume")
    assert (code, printed) == (1, "")
    assert output.read_bytes() == whole
    assert int(messages.split(" of ")[0]) in (done - 1, done - 2)  # a name has two lines
    assert "broken.jpg: not an image" in messages
    code, _, messages = run("-i", many / "in side", "-o", output, "--resume")
    assert code == 0
    assert run("-i", many / "in side", "-o", output, "--resume")[2].startswith("40 of 40")
    assert run("-i", many, "-o", output)[0] == 2
    assert run("-i", many / "in side", "-o", output, "--overwrite")[0] == 0
    assert output.read_text().count("\n") == 41
    assert [path.name for path in tmp_path.iterdir()] == ["c.csv"]


def test_a_second_run_on_one_output_is_refused_at_once(
    model_folder: Path, photos: Path, tmp_path: Path
) -> None:
    output = tmp_path / "c.csv"
    with only_writer(output):
        began = time.monotonic()
        done = script("caption_generator.py", "--model", model_folder, "-i", photos, "-o", output)
        assert time.monotonic() - began < 1.5
    assert done.returncode == 2
    assert "another run is writing" in done.stderr
    assert not output.exists()


def test_the_unsure_are_those_of_the_lowest_scores(run: Run, many: Path, tmp_path: Path) -> None:
    arguments = ("-i", many, "--recursive", "--unsure", 0.2)
    rows = [json.loads(line) for line in run(*arguments, "--format", "jsonl")[1].splitlines()]
    assert len(rows) == 121
    assert sum(row["unsure"] for row in rows) == 24
    least = max(row["score"] for row in rows if row["unsure"])
    assert all(row["score"] >= least for row in rows if not row["unsure"])
    unsure = {row["image"] for row in rows if row["unsure"]}
    table = list(csv.DictReader(io.StringIO(run(*arguments, "--format", "csv")[1], newline="")))
    assert {row["image"] for row in table if row["unsure"] == "yes"} == unsure
    assert sum(row["unsure"] == "no" for row in table) == 97
    text = run(*arguments)[1].splitlines()
    assert sum(line.endswith("\tunsure") for line in text) == 24
    run(*arguments, "-o", tmp_path / "c.html")
    page = (tmp_path / "c.html").read_text()
    assert page.count('<figure class="unsure"') == page.count("<strong>unsure:</strong>") == 24


def test_sidecars_beside_photos_and_elsewhere(run: Run, many: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(many, folder)
    rows = [
        json.loads(line)
        for line in run("-i", folder, "--recursive", "--format", "jsonl")[1].splitlines()
    ]
    said = {Path(row["image"]): row["caption"] for row in rows}
    code, printed, _ = run("-i", folder, "--recursive", "--format", "sidecar")
    assert (code, printed) == (1, "")
    elsewhere = tmp_path / "out"
    assert run("-i", folder, "--recursive", "--format", "sidecar", "-o", elsewhere)[0] == 1
    for photo, caption in said.items():
        beside = photo.with_name(photo.name + ".txt")
        assert beside.read_text() == caption + "\n"
        assert (elsewhere / beside.relative_to(folder)).read_text() == caption + "\n"
    assert len(list(folder.rglob("*.txt"))) == len(list(elsewhere.rglob("*.txt"))) == len(said)
    beside.write_text("my own words")
    code, _, messages = run("-i", folder, "--recursive", "--format", "sidecar")
    assert code == 2
    assert "--overwrite" in messages
    assert run("-i", folder, "--recursive", "--format", "sidecar", "--resume")[0] == 1
    assert beside.read_text() == "my own words"


def test_copies_carry_captions_and_photos_stay(run: Run, photos: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in photos.iterdir()}
    code, printed, messages = run("-i", photos, "--embed", tmp_path / "out", "--format", "jsonl")
    assert code == 1
    assert "passed over " + str(photos / "palette.gif") + ": no copy, it can't carry" in messages
    assert {path: path.read_bytes() for path in photos.iterdir()} == before
    rows = map(json.loads, printed.splitlines())
    said = {Path(row["image"]).name: row["caption"] for row in rows}
    assert set(said) - {path.name for path in (tmp_path / "out").iterdir()} == {"palette.gif"}
    for copy in (tmp_path / "out").iterdir():
        with pyexiv2.ImageData(copy.read_bytes()) as image:
            assert image.read_xmp()["Xmp.dc.description"] == {'lang="x-default"': said[copy.name]}


def test_several_models_and_wording_reach_the_decoder(
    run: Run, grids_models: dict[str, Path], photos: Path
) -> None:
    photo = photos / "colour.png"
    folders = [grids_models["merge"], grids_models["transformer"]]
    both = ("--model", folders[0], "--model", folders[1])
    wording = (
        "--beam",
        3,
        "--length-penalty",
        1.5,
        "--no-repeat",
        2,
        "--max-words",
        5,
        "--views",
        2,
        "--ban",
        "a,The",
    )
    code, printed, messages = run("-i", photo, *both, *wording)
    (expected,) = load(*folders).caption(
        [photo], beam=3, length_power=1.5, no_repeat=2, max_words=5, ban=["a", "the"], views=2
    )
    assert (code, printed, messages) == (0, expected.caption + "\n", "")
    assert not {"a", "the"} & set(printed.split())
    code, _, messages = run("-i", photo, *both, "--attention", "a.png")
    assert code == 2
    assert "one model looks" in messages


def test_a_greedy_model_keeps_to_few_words_by_a_beam(
    run: Run, model_folder: Path, photos: Path
) -> None:
    assert read_description(model_folder)["decoding"].get("beam", 1) == 1
    photo = photos / "colour.png"
    expected = {
        beam: next(load(model_folder).caption([photo], beam=beam, max_words=3)).caption
        for beam in (1, 5)
    }
    assert expected[1] != expected[5]
    few = ("-i", photo, "--max-words", 3)
    assert run(*few)[1] == expected[5] + "\n"
    assert run(*few, "--beam", 1)[1] == expected[1] + "\n"


def test_models_of_other_vocabularies_are_refused_at_once(
    model_folder: Path, photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(model_folder, tmp_path / "other")
    about = json.loads((model_folder / "captioner.json").read_text())
    about["words"].append("more")
    (tmp_path / "other" / "captioner.json").write_text(json.dumps(about))
    began = time.monotonic()
    done = script(
        "caption_generator.py", "-i", photos, "--model", model_folder, "--model", tmp_path / "other"
    )
    assert time.monotonic() - began < 1.5
    assert done.returncode == 2
    assert "another vocabulary" in done.stderr


def test_photos_above_max_pixels_are_passed_over(run: Run, photos: Path) -> None:
    width, height = Image.open(photos / "colour.png").size
    names = [photos / "colour.png", photos / "gray.jpg"]
    assert run("-i", *names, "--max-pixels", width * height)[0] == 0
    code, printed, messages = run("-i", *names, "--max-pixels", width * height - 1)
    assert (code, printed) == (1, "")
    assert messages.count("pixels are more than the limit") == 2


def test_a_name_that_steers_a_terminal_is_escaped_in_the_messages(run: Run, photos: Path) -> None:
    names = [photos / "colour.png", photos / "\x1b[2J.jpg", photos / "two\nlines.jpg"]
    code, _, messages = run("-i", *names)
    assert code == 1
    assert "\\x1b[2J.jpg: no such file\n" in messages
    assert "two\\nlines.jpg: no such file\n" in messages
    code, _, messages = run("-i", names[1])
    assert (code, "\x1b" in messages) == (2, False)


def test_attention_of_a_photo_as_a_picture(
    run: Run, grids_models: dict[str, Path], photos: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "a.png"
    arguments = ("-i", photos / "colour.png", "--model", grids_models["attention"], "--attention")
    code, printed, _ = run(*arguments, picture)
    assert code == 0
    assert printed.strip()
    with Image.open(picture) as drawn:
        assert drawn.width > 300
    code, _, messages = run(*arguments, picture)
    assert code == 2
    assert "is there already" in messages
    assert "does not end in .png" in run(*arguments, tmp_path / "a.jpg")[2]
    several = run(*arguments, tmp_path / "b.png", "-i", photos)
    assert several[0] == 2
    assert "a single photo" in several[2]


@pytest.mark.skipif(sys.platform == "win32", reason="wants a pseudo-terminal, as Unix has them")
def test_a_progress_bar_on_a_terminal_alone(model_folder: Path, many: Path, tmp_path: Path) -> None:
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
            str(many / "in side"),
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


@pytest.mark.flickr8k
def test_captions_marked_unsure_score_markedly_lower(shared: Path) -> None:
    text = shared / "flickr8k" / "Flickr_8k_text"
    names = (text / "Flickr_8k.devImages.txt").read_text().split()[:100]
    references: dict[str, list[str]] = {name: [] for name in names}
    for line in (text / "Flickr8k.token.txt").read_text(encoding="utf-8").splitlines():
        name, caption = line.split("\t")
        if name.split("#")[0] in references:
            references[name.split("#")[0]].append(
                " ".join(word for word in caption.lower().split() if word.isalpha())
            )
    captioner = load(ROOT / "models" / "flickr8k-merge", weights=str(BLOCK13))
    photos = [shared / "flickr8k" / "Flicker8k_Dataset" / name for name in names]
    found = {c.image.name: c for c in captioner.caption(photos)}
    cider = score_captions(
        {name: c.caption for name, c in found.items()}, references, meteor=False
    ).cider
    marks = unsure_of([found[name].score for name in names], 0.2)
    means = [
        np.mean([cider[n] for n, m in zip(names, marks, strict=True) if m is mark])
        for mark in (True, False)
    ]
    assert means[0] < 0.6 * means[1]
