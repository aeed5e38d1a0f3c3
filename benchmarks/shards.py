"""caption --shards measured: photos a second against the plain command, and a million keys.

python benchmarks/shards.py speed --images Flicker8k_Dataset --photos 400
python benchmarks/shards.py decode --images Flicker8k_Dataset
python benchmarks/shards.py keys --number 1000000

Seconds by the clock, and of the processor, which other programs disturb less. Speed takes three
minutes on two cores that are idle.
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
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

COMMAND = [sys.executable, str(ROOT / "caption_generator.py"), "--model", "flickr8k"]


@dataclass(frozen=True)
class Taken:
    """What a command and its workers take.

    wall: seconds by the clock; used: of the processor; peak: MiB of the process that had the most.
    """

    wall: float
    used: float
    peak: float


def run(command: list[str]) -> Taken:
    """Run a command that must succeed."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    wall = time.perf_counter() - began
    return Taken(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def speed(images: Path, number: int, size: int, rounds: int) -> Iterator[str]:
    """Rows of a table: the plain command, on one core too, and one and two workers, in turns."""
    ways = ("plain, one core", "plain", "1 worker", "2 workers")
    taken: dict[str, list[Taken]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "photos"
        folder.mkdir()
        for path in islice(sorted(images.iterdir()), number):
            (folder / path.name).symlink_to(path.absolute())
        for turn in range(rounds):
            for way in ways:
                output = Path(place) / f"{way}-{turn}"
                if way.startswith("plain"):
                    given = [str(folder), "-o", f"{output}.jsonl"]
                else:
                    given = ["--shards", str(folder), "-o", str(output), "--workers", way[0]]
                    given += ["--shard-size", str(size)]
                with on_cores(1 if way == "plain, one core" else 0):
                    taken[way].append(run(COMMAND + given))
    yield "| way | photos/s by the clock | photos a second of the processor | MiB at most |"
    yield "| --- | --- | --- | --- |"
    for way, each in taken.items():
        wall, used = sorted(t.wall for t in each), sorted(t.used for t in each)
        yield (
            f"| {way} | {number / wall[rounds // 2]:.1f} | {number / used[rounds // 2]:.1f} "
            f"| {max(t.peak for t in each):.0f} |"
        )


@contextmanager
def on_cores(number: int) -> Iterator[None]:
    """Inside, commands may use so many of this process' cores; 0: all of them."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(mine)[:number] if number else mine)
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)


def decode(images: Path, number: int) -> Iterator[str]:
    """How many photos a second of a core are decoded and made 300 pixels wide."""
    from captioning.vision.images import load_array

    paths = sorted(images.iterdir())[:number]
    for path in paths:
        path.read_bytes()  # into the system's memory: its disk isn't measured
    began = time.process_time()
    for path in paths:
        load_array(path, 300)
    used = time.process_time() - began
    yield f"{len(paths) / used:.0f} photos a second of the processor are decoded"


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
    parser.add_argument("what", choices=["speed", "decode", "keys"])
    parser.add_argument("--images", type=Path, default=ROOT / "Flicker8k_Dataset")
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--shard-size", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--number", type=int, default=1_000_000)
    options = parser.parse_args()
    if options.what == "speed":
        rows = speed(options.images, options.photos, options.shard_size, options.rounds)
    elif options.what == "decode":
        rows = decode(options.images, options.photos)
    else:
        rows = keys(options.number)
    for row in rows:
        print(row, flush=True)


if __name__ == "__main__":
    main()
