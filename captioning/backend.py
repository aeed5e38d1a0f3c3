"""What depends on Keras' backend or on the processor, in one place.

Keras is imported inside the functions: to import it takes seconds, and `--help` must not wait.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
"""What /proc/cpuinfo says of a processor that multiplies bfloat16 faster than float32."""


def import_keras() -> None:
    """Import Keras without the backend's start-up notes on standard error.

    TensorFlow writes some of them from C++ before its own log level counts; they would bury
    the messages that a user can act on. When the import fails, everything is shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # Keras imports these where they are installed, to draw galleries and to show tables in
    # notebooks: half a second. None in their place makes it go without.
    spared = {"matplotlib", "IPython"} - sys.modules.keys()
    sys.modules.update(dict.fromkeys(spared))  # type: ignore[arg-type]  # None stops an import
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        # The descriptor is replaced, not `sys.stderr`: C++ knows nothing of Python's.
        os.dup2(notes.fileno(), 2)
        try:
            import keras

            keras.ops.zeros(1)  # the backend writes the rest when it first computes
            # In a notebook TensorFlow's import sets its own level, and writes into the cells.
            logging.getLogger("tensorflow").setLevel(logging.ERROR)
        except BaseException:
            notes.seek(0)
            os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            for name in spared:
                del sys.modules[name]


def uses_xla() -> bool:
    """Whether to compile with XLA: always for JAX; on a CPU it made TensorFlow ten times slower."""
    import keras

    return keras.backend.backend() == "jax"


def for_prediction(model: Any) -> Any:
    """The model, compiled for prediction alone."""
    model.compile(jit_compile=uses_xla())
    return model


def faster_precision() -> str:
    """Give "bfloat16" where TensorFlow runs on a processor with the instructions, else "float32".

    OpenVINO chooses by itself and wants its networks in float32.
    """
    import keras

    information = Path("/proc/cpuinfo")
    if keras.backend.backend() != "tensorflow" or not information.is_file():
        return "float32"
    flags = set(information.read_text(encoding="utf-8", errors="replace").split())
    return "bfloat16" if flags & BFLOAT16_FLAGS else "float32"


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Layers made inside compute in that precision; their weights stay float32."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
