"""Commands that tests kill or interrupt, and comparing what they leave."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np

from captioning.inference.trained_model import load_trained_model
from captioning.vision.encoders import ENCODERS
from tests.conftest import ROOT, input_options


def features_command(scenes: Path, output: Path) -> list[str]:
    """A features.py run to kill: small batches, so that there are many of them."""
    options = "--encoder mini-xception --min-count 2 --batch-size 4 --grids"
    return [
        *(sys.executable, str(ROOT / "features.py"), *input_options(scenes)),
        *("--output", str(output), *options.split()),
    ]


def train_command(data: Path, output: Path) -> list[str]:
    """A train.py run to kill."""
    options = "--epochs 6 --width 16 --batch-size 32 --seed 5 --learning-rate 3e-3"
    return [
        *(sys.executable, str(ROOT / "train.py")),
        *("--data", str(data), "--output", str(output), *options.split()),
    ]


def finetune_command(data: Path, initial: Path, output: Path) -> list[str]:
    """A fine-tuning to kill."""
    options = "--finetune cider --epochs 4 --samples 3 --learning-rate 1e-3 --seed 5"
    return [
        *(sys.executable, str(ROOT / "train.py")),
        *("--data", str(data), "--output", str(output)),
        *("--initial", str(initial), *options.split()),
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


def run_to_end(command: list[str]) -> None:
    """Run a command that must succeed."""
    code, messages = run(command)
    assert code == 0, messages


def digests(folder: Path, *names: str) -> dict[str, str]:
    """The SHA-256 of files."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def weights_of(folder: Path) -> list[np.ndarray]:
    """The weights of a trained model; its file also has names that Keras generates."""
    return load_trained_model(folder).model.get_weights()


class CountingEncoder:
    """An encoder whose vectors are random numbers seeded by the photo; counts what it encodes."""

    settings = ENCODERS["mini-xception"]
    encoded = 0

    def signature(self) -> dict:
        """As that of an encoder."""
        return {**self.settings.as_dict(), "weights": "none"}

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Vectors (photos, 224)."""
        self.encoded += len(images)
        seeds = images.reshape(len(images), -1).sum(axis=1)
        return np.array(
            [np.random.default_rng(int(seed)).random(224, np.float32) for seed in seeds]
        )
