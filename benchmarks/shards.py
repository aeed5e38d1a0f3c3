"""caption --shards measured: photos a second against the plain command, and a million keys.

python benchmarks/shards.py speed --images Flicker8k_Dataset --photos 400
python benchmarks/shards.py keys --number 1000000

Seconds by the clock, and of the processor, which other programs disturb less.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

COMMAND = [sys.executable, str(ROOT / "caption_generator.py"), "--model", "flickr8k"]


def run(command: list[str]) -> tuple[float, float]:
    """Seconds by the clock and of the processor that a command and its workers take."""
    before, began = os.times(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    after = os.times()
    used = (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )
    return time.perf_counter() - began, used


def speed(images: Path, number: int, size: int, rounds: int) -> Iterator[str]:
    """Rows of a table: the plain command, and one and two workers, in turns."""
    ways = ("plain", "1 worker", "2 workers")
    seconds: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "photos"
        folder.mkdir()
        for path in islice(sorted(images.iterdir()), number):
            (folder / path.name).symlink_to(path.absolute())
        for turn in range(rounds):
            for way in ways:
                output = Path(place) / f"{way}-{turn}"
                if way == "plain":
                    given = [str(folder), "-o", f"{output}.jsonl"]
                else:
                    given = ["--shards", str(folder), "-o", str(output), "--workers", way[0]]
                    given += ["--shard-size", str(size)]
                seconds[way].append(run(COMMAND + given))
    yield "| way | photos/s by the clock | photos a second of the processor |"
    yield "| --- | --- | --- |"
    for way in ways:
        wall, used = (sorted(values)[rounds // 2] for values in zip(*seconds[way], strict=True))
        yield f"| {way} | {number / wall:.1f} | {number / used:.1f} |"


def keys(number: int) -> Iterator[str]:
    """Seconds and memory of planning and resuming a list of so many made-up photos' names."""
    from captioning.shards.inputs import Cut, read_input
    from captioning.shards.run import Share, run_shards
    from captioning.shards.work import Job, Outcome, stats_name
    from tests.shard_tasks import DigestTask

    job = Job(DigestTask(), "")
    with tempfile.TemporaryDirectory() as place:
        listed = Path(place) / "list.txt"
        names = (f"{n // 1000:05d}/{n * 7919 % 10**9:09d}.jpg\n" for n in range(number))
        listed.write_text("".join(names))
        first = Path(place) / "00000" / "000000000.jpg"
        first.parent.mkdir()
        first.touch()
        output = Path(place) / "out"
        job = Job(DigestTask(), str(output))

        def pretend(work: object, shards: list) -> Iterator[Outcome]:
            """As if each shard were done: its files, without its photos."""
            for shard in shards:
                stats = {"bytes": 0, "run": job.run, "photos": len(shard.keys), "failed": 0}
                stats |= {"damaged": None, "skipped": {}}
                (output / f"{shard.name}.jsonl").write_text("")
                (output / stats_name(shard.name)).write_text(json.dumps(stats))
                yield Outcome(shard.name, len(shard.keys))

        began = time.perf_counter(), time.process_time()
        for turn in ("planned, and as if done", "resumed"):
            summary = run_shards(job, read_input(str(listed), Cut()), pretend, Share())
            assert summary.photos == number
            wall, used = time.perf_counter() - began[0], time.process_time() - began[1]
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            figures = f"{wall:.1f} s, {used:.1f} s of the processor, {most:.0f} MiB"
            yield f"{number:,} keys {turn}: {figures}"
            began = time.perf_counter(), time.process_time()


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["speed", "keys"])
    parser.add_argument("--images", type=Path, default=ROOT / "Flicker8k_Dataset")
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--shard-size", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--number", type=int, default=1_000_000)
    options = parser.parse_args()
    if options.what == "speed":
        rows = speed(options.images, options.photos, options.shard_size, options.rounds)
    else:
        rows = keys(options.number)
    for row in rows:
        print(row, flush=True)


if __name__ == "__main__":
    main()
