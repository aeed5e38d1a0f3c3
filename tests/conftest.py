"""What the tests share: a tiny dataset of rendered scenes, its vectors, a model trained on it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock
from PIL import Image

from captioning.backend import import_keras

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("CAPTIONING_SHARED", ROOT.parent / "shared"))
BLOCK13 = SHARED / "xception_notop_blocks1-13.h5"

MAY_SKIP_IN_CI = ("no real data in", "root may read all", "this system")
"""What a machine can't change. Packages can be installed: CI must not do without their tests."""

Run = Callable[..., tuple[int, str, str]]
"""Runs a command in this process: (exit code, output, messages)."""

import_keras()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Generator:
    """In CI a skip for want of something that can be installed is a failure."""
    report = yield
    if os.environ.get("CI") and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith(MAY_SKIP_IN_CI):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped in CI: {reason}"
    return report


@pytest.fixture(scope="module", autouse=True)
def fresh_keras() -> Generator:
    """A network that can't be built leaves variables behind, with which no later one can."""
    yield
    import keras

    keras.utils.clear_session()


@pytest.fixture(autouse=True)
def pillows_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's limit on pixels is the process's: a test that lowers it must not limit the next."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos, captions and weights; tests that want it skip without it."""
    if not (SHARED / "flickr8k").is_dir() or not BLOCK13.is_file():
        pytest.skip(f"no real data in {SHARED} (set CAPTIONING_SHARED to its folder)")
    return SHARED


def script(name: str, *arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """Run one of the project's scripts as a user does."""
    return subprocess.run(
        [sys.executable, str(ROOT / name), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )


def processor_seconds() -> float:
    """The processor time of the commands run so far: unlike the clock, nothing else adds to it."""
    used = os.times()
    return used.children_user + used.children_system


def input_options(folder: Path) -> list[str]:
    """The options of features.py for photos and captions in Flickr8k's layout."""
    images, text = folder / "Flicker8k_Dataset", folder / "Flickr_8k_text"
    return ["--images", str(images), "--text", str(text)]


Once = Callable[[str, Callable[[Path], None]], Path]
"""Gives the folder of that name, which the function has filled."""


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Fills a folder once for all processes that run tests side by side: training takes long."""
    base = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        base = base.parent  # the workers' own folders lie in it

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = base / name, base / f"{name}.done"
        with FileLock(base / f"{name}.lock"):  # another process may be at it: wait
            if not done.exists():
                make(folder)
                done.touch()
        return folder

    return made


def run_whole(*arguments: object) -> None:
    """Run a script that must succeed."""
    done = script(*arguments)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def scenes_folder(once: Once) -> Path:
    """120 rendered scenes in Flickr8k's layout."""
    from captioning.scenes.dataset import write_scenes

    return once("scenes", lambda folder: write_scenes(folder, train=80, dev=20, test=20, seed=3))


@pytest.fixture(scope="session")
def data_folder(scenes_folder: Path, once: Once) -> Path:
    """What features.py writes for the scenes, by the script itself."""
    options = ("--encoder", "mini-xception", "--min-count", 2)

    def make(folder: Path) -> None:
        run_whole("features.py", *input_options(scenes_folder), "--output", folder, *options)

    return once("data", make)


@pytest.fixture(scope="session")
def model_folder(data_folder: Path, once: Once) -> Path:
    """A toy model, by train.py itself."""
    options = ["--epochs", "3", "--width", "16", "--batch-size", "32", "--seed", "5"]

    def make(folder: Path) -> None:
        run_whole("train.py", "--data", data_folder, "--output", folder, *options)

    return once("toy", make)


@pytest.fixture(scope="session")
def whole_features(scenes_folder: Path, once: Once) -> Path:
    """What an undisturbed features.py writes."""
    # Here, not above: that module imports this one.
    from tests.runs import features_command, run_to_end

    return once("whole-data", lambda folder: run_to_end(features_command(scenes_folder, folder)))


@pytest.fixture(scope="session")
def whole_training(whole_features: Path, once: Once) -> Path:
    """What an undisturbed train.py writes."""
    from tests.runs import run_to_end, train_command

    return once("whole-model", lambda folder: run_to_end(train_command(whole_features, folder)))


@pytest.fixture(scope="session")
def whole_finetuning(whole_features: Path, whole_training: Path, once: Once) -> Path:
    """What an undisturbed fine-tuning writes."""
    from tests.runs import finetune_command, run_to_end

    def make(folder: Path) -> None:
        run_to_end(finetune_command(whole_features, whole_training, folder))

    return once("whole-finetuned", make)


@pytest.fixture(scope="session")
def grids_folder(scenes_folder: Path, once: Once) -> Path:
    """The scenes' vectors and grids, of two views each."""
    options = ["--encoder", "mini-xception", "--min-count", "2", "--grids", "--views", "2"]

    def make(folder: Path) -> None:
        run_whole("features.py", *input_options(scenes_folder), "--output", folder, *options)

    return once("grids", make)


@pytest.fixture(scope="session")
def grids_models(grids_folder: Path, once: Once) -> dict[str, Path]:
    """A toy model of each decoder on the same data."""
    options = [
        "--epochs",
        "4",
        "--width",
        "24",
        "--batch-size",
        "8",
        "--learning-rate",
        "3e-3",
        "--seed",
        "5",
    ]
    decoders = ("merge", "attention", "transformer")

    def make(folder: Path) -> None:
        def train(decoder: str) -> None:
            output = ("--output", folder / decoder, "--decoder", decoder)
            run_whole("train.py", "--data", grids_folder, *output, *options)

        with ThreadPoolExecutor(2) as pool:  # starting up takes one core
            list(pool.map(train, decoders))

    folder = once("grids-models", make)
    return {decoder: folder / decoder for decoder in decoders}


@pytest.fixture(scope="session")
def odd_photos(scenes_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scenes as odd files, and one that is no image."""
    folder = tmp_path_factory.mktemp("odd")
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


@pytest.fixture(scope="session")
def nested_photos(scenes_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of scenes, a third of them in a subfolder; one with an odd name, one broken."""
    folder = tmp_path_factory.mktemp("nested")
    (folder / "in side").mkdir()
    for place, scene in enumerate(sorted((scenes_folder / "Flicker8k_Dataset").iterdir())):
        shutil.copy(scene, folder / ("in side" if place % 3 == 0 else "") / scene.name)
    shutil.copy(scene, folder / '=two\nlines, "q".jpg')
    (folder / "broken.jpg").write_text("no image")
    return folder


@pytest.fixture
def run_caption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, model_folder: Path
) -> Run:
    """The caption command in this process, where Keras is imported already."""
    from captioning.commands import caption
    from captioning.commands.run import run_main

    def call(*arguments: object) -> tuple[int, str, str]:
        model = [] if "--model" in arguments else ["--model", model_folder]
        line = ["caption_generator.py", *model, *arguments]
        monkeypatch.setattr(sys, "argv", [*map(str, line)])
        with pytest.raises(SystemExit) as ended:
            run_main(caption.main)
        return ended.value.code, *capsys.readouterr()

    return call
