"""Seconds and memory as the work grows: random vectors and grids of more and more photos.

Each size runs in a process of its own, so that the peak of its memory is its own.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Growth:
    """One row of the table: seconds of one epoch of the merge model, of greedy captions, and of
    reading all batches from a memory-mapped store of grids; peaks of the process's own memory, MiB.
    """

    photos: int
    train_seconds: float
    captions_a_second: float
    train_mebibytes: float
    decode_seconds: float
    photos_a_second: float
    decode_mebibytes: float
    grids_seconds: float
    grids_a_second: float
    grids_mebibytes: float


def measure(sizes: list[int], folder: Path) -> list[Growth]:
    """For each number of photos: train one epoch on their vectors, decode them, read their grids.

    folder: of the model that decodes.
    """
    rows = []
    for photos in sizes:
        figures = []
        for what in ("train", "decode", "grids"):
            done = _run(what, photos, folder)
            figures += [done["seconds"], photos / done["seconds"], done["mebibytes"]]
        rows.append(Growth(photos, *figures))
    return rows


def _run(what: str, photos: int, folder: Path) -> dict[str, float]:
    code = f"from benchmarks.growth import work; work({what!r}, {photos}, {str(folder)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def work(what: str, photos: int, folder: str) -> None:
    """What the process of one figure does; prints seconds and the peak of its memory as JSON."""
    from captioning.backend import import_keras

    import_keras()
    from benchmarks.machine import OwnMemory

    with OwnMemory() as memory:
        if what == "train":
            seconds = _epoch(photos)
        else:
            seconds = _captions(photos, Path(folder)) if what == "decode" else _grids(photos)
    print(json.dumps({"seconds": seconds, "mebibytes": memory.peak}))


def _epoch(photos: int) -> float:
    import numpy as np

    from benchmarks.synthetic import LONGEST, VOCABULARY, random_captions
    from captioning.decoders.build import build_decoder
    from captioning.decoders.kinds import Architecture
    from captioning.training.batches import CaptionBatches
    from captioning.training.models import compile_for_training
    from captioning.training.settings import TrainingSettings

    vectors, captions = random_captions(photos, 1024)
    flat = [own[0] for own in captions]
    settings = TrainingSettings()
    architecture = Architecture("merge", settings.width, 0.5)
    model = build_decoder(architecture, (1024,), VOCABULARY, LONGEST)
    compile_for_training(model, settings)
    warm = CaptionBatches(vectors, np.arange(100), flat[:100], settings.batch_size)
    model.fit(warm, epochs=1, verbose=0, shuffle=False)  # compiled before the clock starts
    batches = CaptionBatches(vectors, np.arange(photos), flat, settings.batch_size)
    began = time.perf_counter()
    model.fit(batches, epochs=1, verbose=0, shuffle=False)
    return time.perf_counter() - began


def _captions(photos: int, folder: Path) -> float:
    from benchmarks.synthetic import random_vectors
    from captioning.inference.loading import load
    from captioning.inference.trained_model import load_trained_model

    captioner = load(folder, runtime="keras")
    vectors = random_vectors(load_trained_model(Path(folder)).model, photos)
    captioner.decoder.decode(vectors[:250], beam=1)
    began = time.perf_counter()
    captioner.decoder.decode(vectors, beam=1)
    return time.perf_counter() - began


def _grids(photos: int) -> float:
    """Read every batch of an epoch from a file of grids, as large as Xception's.

    The file is sparse: the system reads zeros, and it takes no space on the disk.
    """
    import numpy as np

    from captioning.training.batches import PhotoBatches
    from captioning.vision.encoders import ENCODERS

    settings = ENCODERS["xception-block13"]
    shape = (photos, settings.grid_side**2, settings.vector_size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grids.f16"
        with path.open("wb") as file:
            file.truncate(2 * int(np.prod(shape)))
        grids = np.memmap(path, np.float16, "r", shape=shape)
        batches = PhotoBatches(grids, np.arange(photos)[:, None], [[[4, 5, 6]]] * photos)
        began = time.perf_counter()
        for number in range(len(batches)):
            batches[number]
        return time.perf_counter() - began


def table(rows: list[Growth]) -> list[str]:
    """The rows as lines of Markdown."""
    lines = [
        "| photos | one epoch (a caption each), s | captions/s | peak, MiB "
        "| greedy captions, s | photos/s | peak, MiB | grids read, s | photos/s | peak, MiB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        values = asdict(row)
        lines.append(
            "| "
            + " | ".join(
                f"{value:,.1f}" if name.endswith("_seconds") else f"{value:,.0f}"
                for name, value in values.items()
            )
            + " |"
        )
    return lines
