"""ONNX Runtime and EfficientNet-Lite beside TensorFlow and Xception, each from the shell.

python benchmarks/runtime.py --images Flicker8k_Dataset --text Flickr_8k_text --weights FILE

Both ways caption the same photos in turn, each run a process of its own; the median counts. Then
the dev photos are captioned by one model with ONNX Runtime and with Keras, and compared.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
sys.path[0] = str(ROOT)  # the project, instead of this file's folder

from benchmarks import machine
from captioning.commands.run import run_main
from captioning.errors import CaptioningError

NEW, BEFORE = "flickr8k", "flickr8k-xception"
"""The models that are compared: run by ONNX Runtime, and by Keras on TensorFlow."""


class Run(NamedTuple):
    """A process that has ended: seconds, seconds of the processor, MB at its largest."""

    wall: float
    processor: float
    memory: float


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--images", type=Path, default=Path("Flicker8k_Dataset"), help="the folder of photos")
    add("--text", type=Path, default=Path("Flickr_8k_text"), help="captions and splits")
    add("--weights", default="imagenet", help="Xception's: imagenet (fetched by Keras) or a file")
    add("--photos", type=int, default=500, help="in the folder that is captioned")
    add("--rounds", type=int, default=5, help="how often both ways take turns with one photo")
    add("--views", type=int, default=4, help="of each photo")
    return parser.parse_args()


def run(*arguments: object) -> Run:
    """Caption with these arguments; raises `CaptioningError` with the messages if that fails."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as messages:
        command = [sys.executable, ROOT / "caption_generator.py", *map(str, arguments)]
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=messages)
        # Not `wait`: only `wait4` tells what this one child has used.
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            messages.seek(0)
            raise CaptioningError(f"captioning failed: {messages.read()[-500:]}")
    seconds = used.ru_utime + used.ru_stime
    return Run(time.perf_counter() - began, seconds, used.ru_maxrss / 1024)


def compare(photos: Sequence[Path], rounds: int, options: argparse.Namespace) -> list[list[str]]:
    """Rows of a table: both ways on these photos, and the ratio. The first round isn't counted."""
    ways = {
        "TensorFlow, Xception": ("--model", BEFORE, "--weights", options.weights),
        "ONNX Runtime, EfficientNet-Lite2": ("--model", NEW, "--runtime", "onnx"),
    }
    found: dict[str, list[Run]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            used = run("-i", *photos, "--views", options.views, "--format", "csv", *way)
            if number or len(photos) > 1:  # the first warms the caches of files
                found[name].append(used)
        if len(photos) > 1 and number + 1 >= rounds:
            break
    rows = []
    medians = {name: Run(*map(median, zip(*runs, strict=True))) for name, runs in found.items()}
    for name, used in medians.items():
        rate = f"{len(photos) / used.wall:.1f} photos/s" if len(photos) > 1 else ""
        cells = [f"{used.wall:.2f} s", f"{used.processor:.2f} s", f"{used.memory:.0f} MB", rate]
        rows.append([name, str(len(photos)), *cells])
    before, new = medians.values()
    ratio = f"{before.wall / new.wall:.1f} ({before.processor / new.processor:.1f} by processor)"
    return [*rows, ["times as fast", "", ratio, "", "", ""]]


def compare_captions(options: argparse.Namespace) -> str:
    """How many of dev's captions are the same with both runtimes, and how far the scores differ."""
    from captioning import load
    from captioning.data.dataset import read_dataset
    from captioning.evaluation.scores import score_captions
    from captioning.inference.models import find_model

    dataset = read_dataset(options.images, options.text)
    names = dataset.splits["dev"]
    captions = []
    for runtime in ("keras", "onnx"):
        captioner = load(find_model(Path(NEW)), runtime=runtime)
        found = captioner.caption([options.images / name for name in names], views=options.views)
        captions.append({caption.image.name: caption.caption for caption in found})
    keras, onnx = captions
    references = {name: dataset.captions[name] for name in names}
    scores = [score_captions(texts, references, meteor=False).corpus for texts in captions]
    furthest = max(abs(scores[0][name] - scores[1][name]) for name in scores[0])
    same = sum(keras[name] == onnx[name] for name in names)
    return (
        f"{same:,} of {len(names):,} captions of dev are the same ({same / len(names):.1%}); the "
        f"scores differ by {furthest:.2f} at most (CIDEr {scores[0]['CIDEr']:.2f} by Keras, "
        f"{scores[1]['CIDEr']:.2f} by ONNX Runtime)"
    )


def main() -> int:
    """Measure and print."""
    options = parse_arguments()
    from captioning.data.photos import list_photos

    if options.photos < 2 or options.rounds < 1:
        raise CaptioningError("--photos must be at least 2, --rounds at least 1")
    photos = [options.images / name for name in list_photos(options.images)[: options.photos]]
    print("| | photos | wall | processor | memory | rate |\n|---|---|---|---|---|---|")
    for paths, rounds in ((photos[:1], options.rounds), (photos, 1)):
        for cells in compare(paths, rounds, options):
            print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\n{compare_captions(options)}\n\n{machine.describe()}. {machine.load()}")
    return 0


if __name__ == "__main__":
    run_main(main)
