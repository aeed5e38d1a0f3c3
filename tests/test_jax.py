"""The same on JAX as on TensorFlow: tests of training, decoding and saving, and trained models."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.conftest import ROOT
from tests.jax_captions import DECODERS, captions_of
from tests.made_up_data import write_made_up_data

FILES = [
    f"tests/test_{name}.py"
    for name in ("decoders", "search", "training", "self_critical", "critic", "distillation")
]
"""The tests of training, decoding and saving."""

WITHOUT_COMMANDS = (
    "shift",
    "epoch_has",
    "fit_begins",
    "classic",
    "padding",
    "one_word",
    "saved",
    "any_depth",
)
"""Parts of the names of those in the first and third file that train no model by a command."""


def on_jax(*arguments: object) -> str:
    """Run Python with KERAS_BACKEND=jax; it must succeed. Gives its output."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        # Optimising takes longer than computing here.
        env={**environment, "KERAS_BACKEND": "jax", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


def test_training_decoding_and_saving_pass_on_jax() -> None:
    chosen = ["-k", " or ".join(WITHOUT_COMMANDS)]
    said = on_jax("-m", "pytest", "-n", 0, "-p", "no:cacheprovider", FILES[0], FILES[2], *chosen)
    assert " passed" in said or "100%" in said


@pytest.mark.nightly
def test_all_of_training_decoding_and_saving_passes_on_jax() -> None:
    on_jax("-m", "pytest", "-n", 0, "-p", "no:cacheprovider", *FILES)


def test_a_model_trained_on_one_says_the_same_on_the_other(
    grids_models: dict[str, Path], tmp_path: Path
) -> None:
    """Both ways, merge and transformer: captions and scores."""
    assert keras.backend.backend() == "tensorflow"
    write_made_up_data(tmp_path / "data")
    generator = np.random.default_rng(0)
    grids = generator.normal(size=(5, 1, 36, 224)).astype(np.float32)
    inputs = tmp_path / "inputs.npz"
    np.savez(inputs, grids=grids, vectors=grids.mean(axis=(1, 2)) * 6)
    ours = [grids_models[decoder] for decoder in DECODERS]
    on_jax("-m", "tests.jax_captions", tmp_path / "data", tmp_path / "jax", inputs, *ours)
    on_each = json.loads((tmp_path / "jax" / "captions.json").read_text())
    assert len(on_each) == 2 * len(DECODERS)
    for folder, there in on_each.items():
        here = captions_of(Path(folder), inputs)
        assert [text for text, _ in here] == [text for text, _ in there], folder
        np.testing.assert_allclose([s for _, s in here], [s for _, s in there], atol=1e-4)
    assert len({text for said in on_each.values() for text, _ in said}) > len(on_each)
