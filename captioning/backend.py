"""What depends on Keras' backend or on the processor, in one place."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
"""What /proc/cpuinfo says of a processor that multiplies bfloat16 faster than float32."""


def uses_xla() -> bool:
    """Whether to compile with XLA: always for JAX; on a CPU it made TensorFlow ten times slower."""
    return keras.backend.backend() == "jax"


def for_prediction(model: Any) -> Any:
    """The model, compiled for prediction alone."""
    model.compile(jit_compile=uses_xla())
    return model


def faster_precision() -> str:
    """"bfloat16" where TensorFlow runs on a processor with the instructions, else "float32".

    OpenVINO chooses by itself and wants its networks in float32.
    """
    information = Path("/proc/cpuinfo")
    if keras.backend.backend() != "tensorflow" or not information.is_file():
        return "float32"
    flags = set(information.read_text(encoding="utf-8", errors="replace").split())
    return "bfloat16" if flags & BFLOAT16_FLAGS else "float32"


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Layers made inside compute in that precision; their weights stay float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
