"""Millions of captions: seconds until the first batch is trained, and the memory of the process.

    python -m benchmarks.many_captions --captions 2000000

Made-up captions, five a photo, of words drawn as Zipf's law has it, and vectors in a shard as
`features.py --shards` leaves it. The vectors are zeros: the file has its full size, but no content
on disks that keep none for zeros.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

PER_PHOTO = 5
VECTOR_SIZE = 2048
VOCABULARY = 8000


def write_data(folder: Path, captions: int) -> None:
    """A prepared folder of so many captions, made up."""
    from captioning.data.text import Tokenizer
    from captioning.files.pickles import write_pickle
    from captioning.files.text import write_json

    generator = np.random.default_rng(1)
    words = np.array([f"w{number}" for number in range(VOCABULARY)])
    photos = captions // PER_PHOTO
    names = [f"{photo:08}.jpg" for photo in range(photos)]
    with (folder / "descriptions.txt").open("w", encoding="utf-8") as file:
        for name in names:
            drawn = words[generator.zipf(1.3, (PER_PHOTO, 17)) % VOCABULARY]
            for row, length in zip(drawn, generator.integers(6, 18, PER_PHOTO), strict=True):
                file.write(f"{name}\t{' '.join(row[:length])}\n")
    dev = min(1000, photos // 10)
    write_json(folder / "splits.json", {"train": names[dev:], "dev": names[:dev]})
    write_pickle(folder / "tokenizer.p", Tokenizer(tuple(words.tolist())).numbers)
    model = {"name": "xception", "vector_size": VECTOR_SIZE, "grid_side": 10, "weights": "none"}
    write_json(
        folder / "_run.json", {"settings": {"model": model, "views": 0}, "shards": ["00000"]}
    )
    write_json(folder / "00000_stats.json", {"photos": photos})
    with (folder / "00000.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"key": name, "error": None}) + "\n" for name in names)
    with (folder / "00000.vectors").open("wb") as file:
        file.truncate(4 * VECTOR_SIZE * photos)


def start_training(folder: Path, batches: int) -> None:
    """Train so many batches as train.py would, and print what it took."""
    began, used = time.perf_counter(), time.process_time()
    from captioning.backend import import_keras

    import_keras()
    from captioning.data.prepared import read_prepared
    from captioning.training.batches import make_batches
    from captioning.training.models import compile_for_training, new_model
    from captioning.training.settings import SETTINGS

    prepared, settings = read_prepared(folder), SETTINGS["merge"]
    train, _ = (make_batches(prepared, split, settings) for split in ("train", "dev"))
    model = new_model(prepared, settings)
    compile_for_training(model, settings)
    for index in range(batches):
        inputs, targets, weights = train[index]
        model.train_on_batch(inputs, targets, weights)
        if index == 0:
            seconds, processor = time.perf_counter() - began, time.process_time() - used
            print(f"first batch after {seconds:.1f} s ({processor:.1f} s of processor time)")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{batches} of {len(train):,} batches of {settings.batch_size}; peak {peak:.2f} GiB")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make up the captions, then start a training in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captions", type=int, default=2_000_000)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--data", type=Path, help="where the captions are kept, or were")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.data or Path(temporary)
        if not (folder / "00000.vectors").exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_data(folder, options.captions)
            print(f"made up {options.captions:,} captions", file=sys.stderr)
        start_training(folder, options.batches)


if __name__ == "__main__":
    main()
