"""What the machine can do: its description, its largest matrix product, seconds and memory."""

import os
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path

SIDE = 3072
"""Rows and columns of the matrices whose product is the machine's measured limit."""


def describe() -> str:
    """Cores, processor, memory and versions, in a line."""
    import keras
    import numpy as np

    information = Path("/proc/cpuinfo")
    text = information.read_text(encoding="utf-8") if information.exists() else ""
    fields = dict(
        tuple(map(str.strip, line.split(":", 1))) for line in text.split("\n") if ":" in line
    )
    processor = fields.get("model name", platform.processor() or platform.machine())
    wide = [name for name in ("avx512f", "avx512_bf16", "amx_bf16")
            if name in fields.get("flags", "").split()]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    backend = keras.backend.backend()
    version = __import__(backend).__version__
    return (
        f"{len(os.sched_getaffinity(0))} cores, {processor}"
        f"{' (' + ', '.join(wide) + ')' if wide else ''}, {memory:.0f} GiB; Python "
        f"{platform.python_version()}, Keras {keras.__version__}, {backend} {version}, "
        f"NumPy {np.__version__}"
    )


def seconds_of(work: Callable[[], object], times: int = 1) -> float:
    """The least wall time of `work` in so many tries."""
    least = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - began)
    return least


def peak(dtype: str = "float32") -> float:
    """Floating-point operations a second of a large matrix product, the best of several."""
    import keras
    import numpy as np

    values = np.random.default_rng(0).normal(size=(SIDE, SIDE)).astype(np.float32)
    matrix = keras.ops.cast(keras.ops.convert_to_tensor(values), dtype)

    def product() -> None:
        # One number is read back, so that a backend that computes later has computed.
        float(np.asarray(keras.ops.matmul(matrix, matrix)[0, 0], np.float32))

    product()
    return 2 * SIDE**3 / seconds_of(product, 7)


def memory_peak() -> float:
    """The most memory that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
