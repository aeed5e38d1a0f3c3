"""What depends on Keras' backend or on the processor, in one place.

Keras is imported inside the functions: to import it takes seconds, and `--help` must not wait.
"""

import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

BACKENDS = ("tensorflow", "jax", "torch", "openvino")
"""Those of Keras 3."""

BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
"""Flags in /proc/cpuinfo of processors that multiply bfloat16 faster than float32."""


def import_keras() -> None:
    """Import Keras without the backend's start-up messages on standard error.

    TensorFlow writes some of them from C++ before its own log level counts; they would hide the
    messages that a user can act on. When the import fails, everything is shown.

    What `~/.keras/keras.json` says was written for other projects: the backend that it names is
    taken where it is installed; numbers are float32 and pictures (height, width, channels) here.
    """
    _settle_backend()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # Keras imports these where they are installed, to draw galleries and to show tables in
    # notebooks, which takes half a second. None in their place makes the import fail, and Keras
    # does without them; afterwards they can be imported as usual.
    blocked = {"matplotlib", "IPython"}
    if os.environ.get("KERAS_BACKEND") == "jax":
        blocked.add("tensorflow")  # imported for little, in several seconds; where installed
    with _not_imported(blocked), _quiet_standard_error():
        import keras

        keras.ops.zeros(1)  # the backend writes the rest when it first computes
        # Again: in a notebook TensorFlow's import sets its level back, and writes into cells.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        # A model's file doesn't say how Keras was set when it was made: the layers of another
        # order of axes have other shapes, and sums in float16 overflow.
        if keras.config.floatx() != "float32":
            keras.config.set_floatx("float32")
            keras.config.set_dtype_policy("float32")
        keras.config.set_image_data_format("channels_last")


def set_seed(seed: int) -> None:
    """Seed Python, NumPy, Keras and its backend.

    By `keras.utils.set_random_seed`, which seeds TensorFlow too where it is installed, and imports
    it for that: several seconds and its start-up messages, for nothing on JAX.
    """
    import keras

    with _not_imported({"tensorflow"} if keras.backend.backend() == "jax" else set()):
        keras.utils.set_random_seed(seed)


def import_tensorflow() -> None:
    """Import TensorFlow, whatever backend computes, without its start-up messages."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _quiet_standard_error():
        import tensorflow  # noqa: F401
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


@contextmanager
def _not_imported(names: set[str]) -> Iterator[None]:
    """Packages that are not imported yet can't be within the block, and can afterwards."""
    blocked = names - sys.modules.keys()
    sys.modules.update(dict.fromkeys(blocked))  # type: ignore[arg-type]  # None stops an import
    try:
        yield
    finally:
        for name in blocked:
            del sys.modules[name]


def _settle_backend() -> None:
    """Let Keras start with TensorFlow, unless a backend is named that is installed here."""
    if "KERAS_BACKEND" in os.environ:
        return
    folder = os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser()
    try:
        name = json.loads((Path(folder) / "keras.json").read_text(encoding="utf-8"))["backend"]
        known = name in BACKENDS and find_spec(name) is not None
    except (OSError, ValueError, LookupError, TypeError, RuntimeError):
        known = False
    if not known:  # "theano", of a Keras of long ago
        os.environ["KERAS_BACKEND"] = "tensorflow"


@contextmanager
def _quiet_standard_error() -> Iterator[None]:
    """Keep back what is written to standard error, and show it if the block raises."""
    try:
        standard_error = os.dup(2)
    except OSError:  # a process without a console
        yield
        return
    if sys.stderr:
        sys.stderr.flush()
    with tempfile.TemporaryFile() as messages:
        # The file descriptor is replaced, not `sys.stderr`, through which C++ does not write.
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except BaseException:
            messages.seek(0)
            os.write(standard_error, messages.read())
            raise
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)


def uses_xla() -> bool:
    """Whether to compile models with XLA: for JAX alone, which has no other way.

    On a CPU XLA made TensorFlow ten times slower.
    """
    import keras

    return keras.backend.backend() == "jax"


def batch_workers() -> int:
    """How many threads make a training's batches while others are computed.

    Two: with one, TensorFlow's own prefetching takes seconds to stop each epoch. Batches still come
    in order. On JAX one, which means none beside: Keras takes a look at the first batch to build
    what was loaded, and with threads the first epoch would begin with the second batch then.
    """
    return 1 if uses_xla() else 2


def for_prediction(model: Any) -> Any:
    """The model, compiled for prediction, without a loss.

    Said for every model: by itself Keras decides about XLA, which is wrong on a CPU.
    """
    model.compile(jit_compile=uses_xla())
    return model


def faster_precision() -> str:
    """Give "bfloat16" where TensorFlow runs on a processor with the instructions, else "float32".

    OpenVINO chooses the precision by itself and expects its networks in float32.
    """
    import keras

    processor = Path("/proc/cpuinfo")  # Linux alone has it
    if keras.backend.backend() != "tensorflow" or not processor.is_file():
        return "float32"
    flags = set(processor.read_text(encoding="utf-8", errors="replace").split())
    return "bfloat16" if flags & BFLOAT16_FLAGS else "float32"


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Layers made inside compute in that precision, "float32" or "bfloat16".

    Their weights stay float32 (Keras' mixed precision).
    """
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
