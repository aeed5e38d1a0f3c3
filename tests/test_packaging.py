"""The package: what it installs, that it installs, and that it works far from the checkout."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from captioning.scenes.dataset import write_scenes
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LARGEST_WHEEL = 40_000_000


def requirements(file: str) -> set[str]:
    """The packages that a requirements file names itself."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith(("#", "-r"))}


@pytest.mark.parametrize(
    ("file", "extras"),
    [
        ("requirements.txt", []),
        ("requirements-app.txt", ["app"]),
        ("requirements-openvino.txt", ["openvino"]),
        ("requirements-dev.txt", ["embed", "heic", "dev"]),
    ],
)
def test_requirements_files_say_what_the_package_says(file: str, extras: list[str]) -> None:
    optional = PROJECT["optional-dependencies"]
    own = [name for extra in extras for name in optional[extra]] or PROJECT["dependencies"]
    itself = f"{PROJECT['name']}["
    assert requirements(file) == {name for name in own if not name.startswith(itself)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from a copy of what git tracks."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", built, source],
        check=True,
        capture_output=True,
    )
    return next(built.glob("*.whl"))


def test_the_wheel_is_small_and_brings_code_and_models_alone(wheel: Path) -> None:
    assert wheel.stat().st_size < LARGEST_WHEEL
    names = zipfile.ZipFile(wheel).namelist()
    outside = [name for name in names if not re.match(r"captioning/|[\w.-]+\.dist-info/", name)]
    assert not outside
    for model in ("flickr8k", "flickr8k-merge"):
        assert f"captioning/models/{model}/model.keras" in names
    assert "captioning/evaluation/report.html" in names
    assert "captioning/scenes/weights/mini-xception.weights.h5" in names
    # Captions with their references are the dataset's, not ours to publish.
    assert not [name for name in names if name.endswith("predictions.jsonl")]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the wheel; the programs' folder.

    The wheel's dependencies are those of the environment that runs the tests, lent by a `.pth`
    file: TensorFlow again would take a minute and 2 GB. `test_requirements…` compares their list.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    python = programs / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", wheel]
    subprocess.run(pip, check=True, capture_output=True)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True)
    lent = subprocess.run([sys.executable, "-c", where], capture_output=True, text=True, check=True)
    (Path(found.stdout.strip()) / "lent.pth").write_text(lent.stdout, encoding="utf-8")
    return programs


def run(programs: Path, folder: Path, *arguments: object) -> subprocess.CompletedProcess:
    """Run `image-captions` as a user of the installed package does, from a folder of their own."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [programs / "image-captions", *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_the_installed_command_captions_a_scene(
    installed: Path, model_folder: Path, tmp_path: Path
) -> None:
    write_scenes(tmp_path, train=1, dev=0, test=0, seed=1)
    photo = next((tmp_path / "Flicker8k_Dataset").iterdir())
    done = run(installed, tmp_path, "caption", "--model", model_folder, "-i", photo)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 1
    assert not done.stderr


def test_the_installed_package_finds_its_models(installed: Path, tmp_path: Path) -> None:
    script = (
        "from captioning.inference.models import choose_model, models_folder, shipped_folder\n"
        "print(choose_model(models_folder(), shipped_folder()))"
    )
    found = subprocess.run(
        [installed / "python", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    chosen = Path(found.stdout.strip())
    assert chosen.name == "flickr8k"
    assert installed.parent in chosen.parents


def test_messages_of_the_installed_command_name_it(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "train", "--data", "nowhere")
    assert done.returncode == 2
    assert "image-captions features" in done.stderr
    assert ".py" not in done.stderr
