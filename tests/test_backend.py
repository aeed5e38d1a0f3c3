"""Keras as this project needs it, however other projects have set it."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from captioning import backend
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def settings_of_before() -> object:
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")


def test_another_projects_settings_of_keras_do_not_count() -> None:
    keras.config.set_floatx("float16")
    keras.config.set_dtype_policy("float16")
    keras.config.set_image_data_format("channels_first")
    backend.import_keras()
    assert keras.config.image_data_format() == "channels_last"
    assert keras.config.floatx() == "float32"
    assert keras.layers.Dense(1).dtype_policy.name == "float32"


def test_on_jax_tensorflow_is_not_imported_to_set_a_seed() -> None:
    code = """
import random, sys
from captioning.backend import import_keras, import_tensorflow, set_seed
import_keras()
import keras
drawn = []
for _ in range(2):
    set_seed(7)
    drawn.append((random.random(), float(keras.random.uniform(()))))
assert drawn[0] == drawn[1], drawn
assert "tensorflow" not in sys.modules
import_tensorflow()
assert "tensorflow" in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), "TensorFlow's messages"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "tensorflow"),
        ('{"backend": "theano", "image_dim_ordering": "th"}', "tensorflow"),
        ('{"backend": "torch"}', "tensorflow"),  # not installed here
        ('{"backend": "json"}', "tensorflow"),  # a module, but no backend
        ('{"backend": ["jax"]}', "tensorflow"),
        ('{"floatx": "float16"}', "tensorflow"),
        ("[1]", "tensorflow"),
        ("{", "tensorflow"),
        ('{"backend": "jax"}', None),  # left to Keras
    ],
)
def test_the_backend_of_keras_json_is_taken_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, expected: str | None
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "x")  # so that it is put back afterwards
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setattr(backend, "find_spec", lambda name: None if name == "torch" else name)
    if content is not None:
        (tmp_path / "keras.json").write_text(content)
    backend._settle_backend()
    assert os.environ.get("KERAS_BACKEND") == expected
    monkeypatch.setenv("KERAS_BACKEND", "openvino")
    backend._settle_backend()
    assert os.environ["KERAS_BACKEND"] == "openvino"
