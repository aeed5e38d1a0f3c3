"""Seconds and memory as the work grows: made-up vectors of more and more photos.

Each size runs in a process of its own, so that the peak of its memory is its own.
"""

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Growth:
    """One row of the table: seconds of one epoch and of greedy captions; peaks in MiB."""

    photos: int
    train_seconds: float
    captions_a_second: float
    train_mebibytes: float
    decode_seconds: float
    photos_a_second: float
    decode_mebibytes: float


def measure(sizes: list[int], folder: Path) -> list[Growth]:
    """Train one epoch on the vectors of so many photos and decode them, for each size."""
    rows = []
    for photos in sizes:
        trained, decoded = (_run(what, photos, folder) for what in ("train", "decode"))
        rows.append(Growth(
            photos, trained["seconds"], photos / trained["seconds"], trained["mebibytes"],
            decoded["seconds"], photos / decoded["seconds"], decoded["mebibytes"],
        ))
    return rows


def _run(what: str, photos: int, folder: Path) -> dict[str, float]:
    code = (
        "from benchmarks.growth import work; "
        f"work({what!r}, {photos}, {str(folder)!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def work(what: str, photos: int, folder: str) -> None:
    """What a process does: one epoch, or all captions; prints seconds and its memory's peak."""
    from captioning.errors import import_keras

    import_keras()
    from benchmarks.machine import memory_peak

    seconds = _epoch(photos) if what == "train" else _captions(photos, Path(folder))
    print(json.dumps({"seconds": seconds, "mebibytes": memory_peak()}))


def _epoch(photos: int) -> float:
    import numpy as np

    from benchmarks.compare import LONGEST, VOCABULARY, made_up
    from captioning.batches import CaptionBatches
    from captioning.decoders import build_decoder
    from captioning.settings import TrainingSettings
    from captioning.training import compile_for_training

    vectors, captions = made_up(photos, 1024)
    flat = [own[0] for own in captions]
    settings = TrainingSettings()
    model = build_decoder("merge", (1024,), VOCABULARY, LONGEST, settings.width, 0.5, 1)
    compile_for_training(model, settings)
    warm = CaptionBatches(vectors, np.arange(100), flat[:100], settings.batch_size)
    model.fit(warm, epochs=1, verbose=0, shuffle=False)  # compiled before the clock starts
    batches = CaptionBatches(vectors, np.arange(photos), flat, settings.batch_size)
    began = time.perf_counter()
    model.fit(batches, epochs=1, verbose=0, shuffle=False)
    return time.perf_counter() - began


def _captions(photos: int, folder: Path) -> float:
    from benchmarks.compare import vectors_like
    from captioning.captioner import load

    captioner = load(folder)
    vectors = vectors_like(captioner.bundle.model, photos)
    captioner.describe(vectors[:250])
    began = time.perf_counter()
    captioner.describe(vectors)
    return time.perf_counter() - began


def table(rows: list[Growth]) -> list[str]:
    """The rows as lines of Markdown."""
    lines = [
        "| photos | one epoch (a caption each), s | captions/s | peak, MiB "
        "| greedy captions, s | photos/s | peak, MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        values = asdict(row)
        lines.append("| " + " | ".join(
            f"{value:,.1f}" if name.endswith("_seconds") else f"{value:,.0f}"
            for name, value in values.items()
        ) + " |")
    return lines
