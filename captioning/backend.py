"""What depends on Keras' backend, in one place."""

from typing import Any

import keras


def uses_xla() -> bool:
    """Whether to compile with XLA: always for JAX; on a CPU it made TensorFlow ten times slower."""
    return keras.backend.backend() == "jax"


def for_prediction(model: Any) -> Any:
    """The model, compiled for prediction alone."""
    model.compile(jit_compile=uses_xla())
    return model
