"""One shard -> its results: the function that every distributor calls, wherever it runs."""

import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from captioning.errors import CaptioningError
from captioning.inference.captioner import PHOTOS_AT_ONCE
from captioning.shards.journal import Journal
from captioning.shards.places import OutputFolder, WriteError, is_local
from captioning.shards.rows import as_bytes
from captioning.shards.shard import DamagedError, Shard, photos_of, unreadable
from captioning.vision.packed import Photo

MOST_DEATHS = 50
"""A shard that has brought so many workers down in a run is given up, until the next run."""

Made = tuple[list[dict[str, Any]], dict[str, np.ndarray]]
"""Rows of some photos, and arrays by kind, of the photos whose row has no error."""


class Maker(Protocol):
    """What makes results of photos, with a model loaded."""

    def make(self, keys: list[str], photos: list[Photo]) -> Made:
        """The rows, one a photo with its "key" and its "error" or None, and the arrays."""
        ...


class Task(Hashable, Protocol):
    """What is to be made; travels to the workers, and is the same value for the same results."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names in a row."""
        ...

    def settings(self) -> dict[str, Any]:
        """All that the results depend on, for JSON: another output is refused for others."""
        ...

    def load(self) -> Maker:
        """Load the model, in a worker. Raises `CaptioningError` where it's another one there."""
        ...


@dataclass(frozen=True)
class Job:
    """A run: what is made, and where it goes.

    output: place of the results; format: of the rows, "jsonl" or "parquet"; tries: a photo that
    has brought so many workers down is skipped.
    """

    task: Task
    output: str
    format: str = "jsonl"
    tries: int = 5

    @property
    def run(self) -> str:
        """A digest of all that the results depend on."""
        settings = json.dumps([self.task.settings(), self.format], sort_keys=True)
        return sha256(settings.encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What became of a shard.

    photos, failed: how many there are, and that have an error; skipped: {key: why} of those that
    brought workers down; damaged: why the file ends early, or None; error: why the shard was not
    done at all, or None; stops: whether no other shard could be done either.
    """

    name: str
    photos: int = 0
    failed: int = 0
    seconds: float = 0.0
    skipped: dict[str, str] = field(default_factory=dict)
    damaged: str | None = None
    error: str | None = None
    stops: bool = False


Work = Callable[[Shard], Outcome]
"""`work_on` for a job; can be pickled."""


def stats_name(shard: str) -> str:
    """The file that says a shard is done."""
    return f"{shard}_stats.json"


def work_on(job: Job, shard: Shard) -> Outcome:
    """Do a shard, and write its results. What is wrong with it is told, not raised."""
    began = time.perf_counter()
    try:
        maker = _loaded(job.task)
        journal = Journal(_journal_folder(job), shard.name, f"{job.run} {shard.size}")
        try:
            skipped, damaged = _fill(journal, job, shard, maker)
        except BaseException:
            journal.stopped()
            raise
        rows = [row for first in sorted(journal.rows) for row in journal.rows[first]]
        failed = sum(row["error"] is not None for row in rows)
        seconds = round(time.perf_counter() - began, 3)
        outcome = Outcome(shard.name, len(rows), failed, seconds, skipped, damaged)
        _write(job, shard, journal, rows, outcome)
        journal.remove()
        return outcome
    except WriteError as error:
        return Outcome(shard.name, error=str(error), stops=True)
    except (CaptioningError, ModuleNotFoundError) as error:
        return Outcome(shard.name, error=str(error))


@lru_cache(1)
def _loaded(task: Task) -> Maker:
    return task.load()


def _journal_folder(job: Job) -> Path:
    """The output's own; for one elsewhere a folder of this machine, as such files can't grow."""
    if is_local(job.output):
        return Path(OutputFolder(job.output).path)
    name = sha256(f"{job.output} {job.run}".encode()).hexdigest()[:16]
    user = getattr(os, "getuid", int)()  # Windows has none, but a folder for each user
    return Path(tempfile.gettempdir()) / f"image-captions-{user}-{name}"


def _fill(
    journal: Journal, job: Job, shard: Shard, maker: Maker
) -> tuple[dict[str, str], str | None]:
    """Make what the journal lacks; which photos were skipped, and why the shard ends early."""
    skipped: dict[str, str] = {}
    damaged: list[str] = []
    for first, keys, photos in _groups(shard, damaged):
        for place, key in enumerate(keys):
            deaths = journal.deaths[(first, place)]
            if deaths >= job.tries:
                skipped[key] = f"brought {deaths} workers down"
                photos[place] = unreadable(key, skipped[key])
        if first in journal.rows:
            continue
        if journal.deaths[(first, -1)]:
            # One of these may have been the end of a worker: each on its own tells which.
            for place, key in enumerate(keys):
                if key not in skipped:
                    journal.trying(first, place)
                    maker.make([key], [photos[place]])
        journal.trying(first)
        journal.add(first, *maker.make(keys, photos))
    return skipped, damaged[0] if damaged else None


def _groups(shard: Shard, damaged: list[str]) -> Iterator[tuple[int, list[str], list[Photo]]]:
    """The photos in groups, each with the number of its first; a damage ends them."""
    first = 0
    keys: list[str] = []
    photos: list[Photo] = []
    try:
        for key, photo in photos_of(shard):
            keys.append(key)
            photos.append(photo)
            if len(keys) == PHOTOS_AT_ONCE:
                yield first, keys, photos
                first, keys, photos = first + len(keys), [], []
    except DamagedError as error:
        damaged.append(str(error))
    if keys:
        yield first, keys, photos


def _write(
    job: Job, shard: Shard, journal: Journal, rows: list[dict[str, Any]], outcome: Outcome
) -> None:
    """Write rows and arrays, and last the file that says they are complete."""
    folder = OutputFolder(job.output)
    counts = journal.counts()
    for kind in counts:
        folder.take(journal.array(kind), f"{shard.name}.{kind}")
    folder.write(f"{shard.name}.{job.format}", as_bytes(rows, job.format, job.task.columns))
    stats = {
        "shard": shard.name,
        "input": shard.source,
        "bytes": shard.size,
        "photos": outcome.photos,
        "failed": outcome.failed,
        "skipped": outcome.skipped,
        "damaged": outcome.damaged,
        "arrays": dict(counts),
        "seconds": outcome.seconds,
        "run": job.run,
        "model": job.task.settings().get("model"),
        "versions": versions(),
    }
    text = json.dumps(stats, indent=1, ensure_ascii=True)
    folder.write(stats_name(shard.name), text.encode() + b"\n")


@lru_cache(1)
def versions() -> dict[str, str]:
    """Of the program, and of what computes."""
    found = {"python": platform.python_version()}
    for package in ("image-caption-generator", "onnxruntime", "numpy", "pillow"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue  # a checkout that isn't installed
    return found
