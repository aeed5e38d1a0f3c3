"""Running ONNX files with ONNX Runtime, on the processor alone."""

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from captioning.errors import CaptioningError

KINDS = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}
"""What inputs and outputs may be."""

SPINNING = "session.intra_op.allow_spinning"
"""Threads that wait for work sleep instead of spinning: spinning takes a processor's time from
whatever else runs, and gains nothing on graphs as small as these."""

SHARED_MEMORY = "session.use_env_allocators"

_threads = 0


def use_threads(number: int) -> None:
    """Sessions that are made from now on compute with so many threads; 0: as many as processors.

    For processes or groups of photos side by side, of which each has a processor of its own.
    """
    global _threads
    _threads = number


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def import_onnxruntime() -> Any:
    """ONNX Runtime, with its reports to its maker switched off.

    Since version 1.29 the packages for Linux and macOS send the names and digests of models and a
    number of the machine, as those for Windows do, unless this variable is set before the import.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # Windows' reports, and those of an earlier import
    return onnxruntime


@lru_cache(1)
def _share_memory(onnxruntime: Any) -> None:
    """Let all sessions compute in one memory: each keeps the most that it ever needed to itself.

    https://onnxruntime.ai/docs/get-started/with-c.html#share-allocators-between-sessions
    """
    kind, default = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    own = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, default)
    onnxruntime.create_and_register_allocator(own, onnxruntime.OrtArenaCfg({"max_mem": 0}))


class Session:
    """A graph, ready to run.

    name: for messages; convolves: whether ONNX Runtime may lay the weights out anew, which makes
    convolutions twice as fast, and loading a decoder half as long again for nothing; inputs,
    outputs: {name: shape}, a shape being numbers and names of dimensions of any size; notes: the
    text that the file's writer added, by key.
    """

    def __init__(self, content: bytes, name: str, convolves: bool = False) -> None:
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        if not convolves:
            levels = onnxruntime.GraphOptimizationLevel
            options.graph_optimization_level = levels.ORT_ENABLE_EXTENDED
        # Left to itself, it takes all of the machine's, those too that this process may not use.
        options.intra_op_num_threads = _threads or processors()
        options.log_severity_level = 4  # what is wrong is raised; warnings are for its developers
        options.add_session_config_entry(SPINNING, "0")
        _share_memory(onnxruntime)
        options.add_session_config_entry(SHARED_MEMORY, "1")
        # Plans of where results lie, which are kept for each shape: here shapes grow word by word.
        options.enable_mem_pattern = False
        self.name = name
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
            # It keeps the file's content to begin anew on another device; there is none.
            self._session.disable_fallback()
            self._session._model_bytes = None
            # In here too: texts in the file needn't be UTF-8.
            self.notes: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
            self.inputs = {one.name: one.shape for one in self._session.get_inputs()}
            self.outputs = {one.name: one.shape for one in self._session.get_outputs()}
            self._kinds = {one.name: one.type for one in self._session.get_inputs()}
        except Exception as error:  # its exceptions have no common class
            raise CaptioningError(f"cannot run {name}: {_first_line(error)}") from None
        unknown = {*self._kinds.values()} - KINDS.keys()
        if unknown:
            raise CaptioningError(f"cannot run {name}: it wants inputs of {', '.join(unknown)}")

    def run(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[Any]:
        """The named outputs. inputs: by name, converted to the kinds that the graph wants.

        Raises `CaptioningError` when the graph can't be computed.
        """
        fed = {
            name: np.ascontiguousarray(values, KINDS[self._kinds[name]])
            for name, values in inputs.items()
        }
        try:
            found = self._session.run(list(outputs), fed)
        except Exception as error:  # as above
            raise CaptioningError(f"cannot run {self.name}: {_first_line(error)}") from None
        # What a file declares of its outputs needn't be true, and what reads them relies on it.
        for name, values in zip(outputs, found, strict=True):
            declared = self.outputs[name]
            if len(declared) != values.ndim or any(
                isinstance(side, int) and side != size
                for side, size in zip(declared, values.shape, strict=True)
            ):
                raise CaptioningError(
                    f"{self.name} gives {name} of shape {values.shape}, not {tuple(declared)}"
                )
        return found


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200] or type(error).__name__
