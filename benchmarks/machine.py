"""What the machine can do: its description, its largest matrix product, memory."""

import os
import platform
import resource
import threading
import time
from pathlib import Path

from captioning.files.onnx_session import processors

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
    wide = [
        name
        for name in ("avx512f", "avx512_bf16", "amx_bf16")
        if name in fields.get("flags", "").split()
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    backend = keras.backend.backend()
    version = __import__(backend).__version__
    return (
        f"{processors()} cores, {processor}"
        f"{' (' + ', '.join(wide) + ')' if wide else ''}, {memory:.0f} GiB; Python "
        f"{platform.python_version()}, Keras {keras.__version__}, {backend} {version}, "
        f"NumPy {np.__version__}"
    )


def load() -> str:
    """How busy the machine was when the measurement began, as a sentence."""
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return f"When this was measured, {busy:.1f} programs on average wanted the processor already."


def peak(dtype: str = "float32") -> float:
    """Floating-point operations a second, on all cores, of a large matrix product.

    The best of several, by CPU time, which other programs disturb less than wall time.
    """
    import keras
    import numpy as np

    values = np.random.default_rng(0).normal(size=(SIDE, SIDE)).astype(np.float32)
    matrix = keras.ops.cast(keras.ops.convert_to_tensor(values), dtype)
    least = float("inf")
    for _ in range(8):
        began = time.process_time()
        # One number is read back, so that a backend that computes later has computed.
        float(np.asarray(keras.ops.matmul(matrix, matrix)[0, 0], np.float32))
        least = min(least, time.process_time() - began)
    return processors() * 2 * SIDE**3 / least


class OwnMemory:
    """A context that watches the memory of this process; `peak`, in MiB, is the most it had.

    Pages of files that are mapped into memory are not counted: the system takes them back as
    soon as it needs them. Sampled ten times a second, on Linux; elsewhere all memory counts.
    """

    def __init__(self) -> None:
        self.peak = 0.0
        self._over = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "OwnMemory":
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watching.join()

    def _watch(self) -> None:
        while True:
            over = self._over.wait(0.1)
            self.peak = max(self.peak, self._now())
            if over:
                return

    @staticmethod
    def _now() -> float:
        status = Path("/proc/self/status")
        if status.exists():
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
            return int(fields["RssAnon"].split()[0]) / 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
