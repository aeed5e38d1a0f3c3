"""The package: what it installs, that it installs, and that it works far from the checkout."""

import json
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

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME = PROJECT["name"]
DEV = ["embed", "heic", "parquet", "distributed", "jax", "tensorboard", "dev"]
LARGEST_WHEEL = 40_000_000


def requirements(file: str) -> set[str]:
    """The packages that a requirements file names itself."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith(("#", "-r"))}


@pytest.mark.parametrize(
    ("file", "extras"),
    [
        ("requirements.txt", ["train"]),
        ("requirements-app.txt", ["app"]),
        ("requirements-openvino.txt", ["openvino"]),
        ("requirements-parquet.txt", ["parquet"]),
        ("requirements-distributed.txt", ["distributed"]),
        ("requirements-jax.txt", ["jax"]),
        ("requirements-dev.txt", DEV),
    ],
)
def test_requirements_files_say_what_the_package_says(file: str, extras: list[str]) -> None:
    optional = PROJECT["optional-dependencies"]
    own = [name for extra in extras for name in optional[extra]]
    if file == "requirements.txt":
        own += PROJECT["dependencies"]
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
    assert "captioning/models/flickr8k/decoder_step.onnx" in names
    assert not [name for name in names if name.endswith("encoder.onnx")]  # the weights of others
    assert "captioning/samples/cat.jpg" in names
    for part in ("report.html", "report.js"):
        assert f"captioning/evaluation/{part}" in names
    for page in ("index.html", "desk.css", "main.js"):
        assert f"captioning/app/page/{page}" in names
    assert "captioning/app/project_schema.sql" in names
    assert "captioning/pictures/explanation.html" in names
    assert "captioning/scenes/weights/mini-xception.weights.h5" in names
    # Captions with their references are the dataset's, not ours to publish.
    assert not [name for name in names if name.endswith("predictions.jsonl")]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the wheel and what it depends on; the programs' folder."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [programs / "python", "-m", "pip", "install", "--quiet", wheel]
    subprocess.run(pip, check=True, capture_output=True)
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


def test_the_installed_command_captions_photos_without_tensorflow(
    installed: Path, tmp_path: Path
) -> None:
    """The photo that everyone has: one command, nothing downloaded, a sentence."""
    for package in ("tensorflow", "keras", "matplotlib", "onnx"):
        found = subprocess.run(
            [installed / "python", "-c", f"import {package}"], check=False, capture_output=True
        )
        assert found.returncode, f"{package} isn't wanted to caption"
    photo = ROOT / "samples" / "cat.jpg"
    done = run(installed, tmp_path, "caption", "-i", photo)
    assert done.returncode == 0, done.stderr
    again = run(installed, tmp_path, "caption", "--model", "flickr8k", "-i", photo)
    assert again.stdout == done.stdout
    assert len(done.stdout.split()) > 3
    rows = run(installed, tmp_path, "caption", "-i", ROOT / "samples", "--format", "jsonl")
    captions = {
        Path(row["image"]).name: row["caption"] for row in map(json.loads, rows.stdout.splitlines())
    }
    assert captions["cat.jpg"] == done.stdout.strip()
    assert len(captions) == 9


@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        (["features", "--images", "samples", "--text", "text"], "keras"),
        (["export", "flickr8k"], "keras"),
        (["caption", "-i", "samples/cat.jpg", "--runtime", "keras"], "keras"),
        (["caption", "-i", "samples/cat.jpg", "--attention", "map.png"], "matplotlib"),
        (["demo"], "matplotlib"),
        (["evaluate", "--model", "flickr8k", "--data", "data"], "pycocoevalcap"),
    ],
)
def test_what_wants_more_packages_says_how_to_install_them(
    installed: Path, tmp_path: Path, arguments: list[str], package: str
) -> None:
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    (tmp_path / "text").mkdir()
    rows = "image,caption\n"
    for number in range(40):  # so many that no split is empty
        shutil.copy(ROOT / "samples" / "cat.jpg", tmp_path / "samples" / f"{number}.jpg")
        rows += f"{number}.jpg,a cat\n"
    (tmp_path / "text" / "captions.txt").write_text(rows, encoding="utf-8")
    done = run(installed, tmp_path, *arguments)
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last == f'error: this needs the package {package}; pip install "{NAME}[train]"'
    assert "Traceback" not in done.stderr


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
