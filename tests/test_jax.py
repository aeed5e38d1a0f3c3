"""The same on JAX as on TensorFlow: tests of training, decoding and saving, and a trained model."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from captioning.inference.trained_model import load_trained_model
from tests.conftest import ROOT
from tests.made_up_data import write_made_up_data

ON_JAX = ("shift", "epoch_has", "classic", "padding", "one_word", "saved", "any_depth")
"""Parts of the names of the tests that are run on JAX: those that train no model by a command."""

TRAIN_AND_PREDICT = """
import sys
from pathlib import Path
import numpy as np
from captioning.backend import import_keras
import_keras()
import keras
assert keras.backend.backend() == "jax"
from captioning.commands.train import main
from captioning.inference.trained_model import load_trained_model
data, output, inputs = sys.argv[1:]
options = "--decoder transformer --width 12 --epochs 1 --batch-size 8".split()
main(["--data", data, "--output", output, *options])
given = np.load(inputs)
logits = load_trained_model(Path(output)).model.predict_on_batch([given["grids"], given["words"]])
np.save(inputs + ".npy", logits)
"""


def on_jax(*arguments: object) -> None:
    """Run Python with KERAS_BACKEND=jax; it must succeed."""
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


@pytest.mark.nightly
def test_training_decoding_and_saving_pass_on_jax() -> None:
    files = ["tests/test_decoders.py", "tests/test_training.py"]
    on_jax("-m", "pytest", "-n", 0, "-p", "no:cacheprovider", *files, "-k", " or ".join(ON_JAX))


@pytest.mark.nightly
def test_a_model_trained_on_jax_is_the_same_on_tensorflow(tmp_path: Path) -> None:
    assert keras.backend.backend() == "tensorflow"
    write_made_up_data(tmp_path / "data")
    generator = np.random.default_rng(0)
    grids = generator.normal(size=(3, 36, 224)).astype(np.float32)
    words = generator.integers(4, 14, (3, 2, 5)).astype(np.int32)
    np.savez(tmp_path / "inputs.npz", grids=grids, words=words)
    on_jax("-c", TRAIN_AND_PREDICT, tmp_path / "data", tmp_path / "m", tmp_path / "inputs.npz")
    model = load_trained_model(tmp_path / "m").model
    wanted = np.load(tmp_path / "inputs.npz.npy")
    np.testing.assert_allclose(model.predict_on_batch([grids, words]), wanted, atol=1e-5)
