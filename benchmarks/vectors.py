"""Vectors of photos: one photo per `predict`, against batches as features.py encodes them."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import classic, machine
from benchmarks.comparison import Comparison, Work, alternate

ROOT = Path(__file__).parent.parent


def compare_vectors(
    photos: list[Path], weights: str, rounds: int = 3, small: bool = False
) -> Iterator[Comparison]:
    """In float32, in the fastest precision, and on OpenVINO if it is installed.

    weights: of Xception, or with `small` of mini-xception, whose figures mean nothing.
    """
    from captioning.vision.encoders import load_encoder
    from captioning.vision.networks import load_network

    # The part of Xception that every file of weights has.
    name = "mini-xception" if small else "xception-block13"
    encoders = {kind: load_encoder(name, weights, kind) for kind in ("float32", "auto")}
    network = pooled(load_network(name, weights))
    operations = convolution_operations(network)
    size = encoders["float32"].settings.size
    few = photos[: max(8, len(photos) // 8)]  # for the slow way, of which a rate is enough
    found: dict[str, np.ndarray] = {}

    def one_by_one() -> int:
        found["classic"] = classic.encode(network, few, size)
        return len(few)

    def compare(title: str, work: Work, precision: str, target: float) -> Comparison:
        one_by_one(), work()  # compiled before the clock starts
        rates = alternate(one_by_one, work, rounds)
        return Comparison.faster(
            f"vectors, {name}, {title}",
            "photos/s",
            rates,
            target,
            machine.peak(precision) / operations,
            {"least cosine": least_cosine(found["classic"], found["ours"][: len(few)])},
        )

    for kind, target in (("float32", 3.5), ("auto", 6.0)):
        encoder = encoders[kind]

        def in_batches(encoder: Any = encoder) -> int:
            found["ours"] = encode_all(encoder, photos)
            return len(found["ours"])

        yield compare(encoder.precision, in_batches, encoder.precision, target)

    if find_spec("openvino"):
        with openvino_process(name, photos, weights) as encode:

            def in_openvino() -> tuple[int, float]:
                found["ours"], seconds = encode()
                return len(found["ours"]), seconds

            yield compare("OpenVINO", in_openvino, "bfloat16", 6.0)


def encode_all(encoder: Any, photos: list[Path]) -> np.ndarray:
    """Vectors, float32 (photos, D), as features.py encodes them: read ahead, in batches."""
    from captioning.vision.batches import read_batches

    batches = read_batches(photos, encoder.settings.size, 16, {})
    return np.concatenate([encoder.encode(pixels) for _, pixels in batches])


@contextmanager
def openvino_process(
    name: str, photos: list[Path], weights: str
) -> Iterator[Callable[[], tuple[np.ndarray, float]]]:
    """A process with Keras on OpenVINO: a function that gives all vectors, and seconds of CPU time.

    A process of its own, as Keras has one backend per process.
    """
    code = "import sys; from benchmarks.vectors import serve_vectors; serve_vectors(*sys.argv[1:])"
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "vectors.npy"
        process = subprocess.Popen(
            [sys.executable, "-c", code, name, weights, str(answer), *map(str, photos)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "KERAS_BACKEND": "openvino"},
        )

        def encode() -> tuple[np.ndarray, float]:
            process.stdin.write("again\n")
            process.stdin.flush()
            seconds = float(process.stdout.readline())
            return np.load(answer), seconds

        with process:  # leaving it closes the pipes, which ends the loop in `serve_vectors`
            yield encode


def serve_vectors(name: str, weights: str, answer: str, *photos: str) -> None:
    """For each line of standard input, encode the photos into the file `answer`; print seconds.

    What the process of `openvino_process` runs.
    """
    from captioning.backend import import_keras

    import_keras()
    from captioning.vision.encoders import load_encoder

    encoder = load_encoder(name, weights)
    for _ in sys.stdin:
        began = time.process_time()
        np.save(answer, encode_all(encoder, list(map(Path, photos))))
        print(time.process_time() - began, flush=True)


def pooled(network: Any) -> Any:
    """The network as the classic recipe has it: scaled floats in, the pooled vector out."""
    import keras

    vector = keras.layers.GlobalAveragePooling2D()(network.outputs[0])
    return keras.Model(network.inputs, vector)


def convolution_operations(network: Any) -> float:
    """Multiplications and additions of the convolutions, for one photo."""
    total = 0
    for layer in network.layers:
        if "Conv2D" in type(layer).__name__:
            positions = np.prod(layer.output.shape[1:3])
            for weight in layer.weights:
                if len(weight.shape) == 4:
                    # (height, width, in, out); of a depthwise kernel out is 1, as each channel is
                    # convolved by itself.
                    total += 2 * positions * np.prod(weight.shape)
    return float(total)


def least_cosine(one: np.ndarray, other: np.ndarray) -> float:
    """The least cosine similarity of two vectors of the same photo; both (photos, D)."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / lengths).min())
