"""A run: the input cut into shards, what is done left alone, the rest handed out."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from captioning.errors import CaptioningError, shown
from captioning.files.locks import locked
from captioning.shards.inputs import Input
from captioning.shards.places import RAISED, OutputFolder, is_local
from captioning.shards.shard import Shard
from captioning.shards.work import Job, Outcome, Work, stats_name, work_on
from captioning.vision.sharded_features import RUN

FORMAT = 1

Distribute = Callable[[Work, Sequence[Shard]], Iterator[Outcome]]
"""A distributor: calls the function with each shard, somewhere, and gives what comes back."""


@dataclass(frozen=True)
class Share:
    """Which of the shards this process does: those whose number leaves `index` divided by `of`."""

    index: int = 0
    of: int = 1

    def own(self, shards: Sequence[Shard]) -> list[Shard]:
        """Its shards."""
        return list(shards[self.index :: self.of])


@dataclass
class Summary:
    """What is in the output now, of this process' shards; remaining: shards that aren't done."""

    photos: int = 0
    failed: int = 0
    done: int = 0
    remaining: int = 0
    damaged: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether each photo has its result."""
        return not (self.failed or self.remaining or self.damaged)


def run_shards(job: Job, source: Input, distribute: Distribute, share: Share) -> Summary:
    """Do the shards that are missing in the output.

    Raises `CaptioningError` for an output of other settings, another model or another input, and
    where nothing can be written.
    """
    folder = OutputFolder(job.output)
    own = share.own(source.shards)
    found = folder.names()
    _check_run(folder, found, job, source)
    lock = f".{share.index}-of-{share.of}.lock"
    with _locked(folder, lock):
        _write_run(folder, found, job, source)
        written = {f"{s.name}.{job.format}" for s in own} | {stats_name(s.name) for s in own}
        folder.remove_parts(written)
        stats = {s.name: _known(folder, s, found, job) for s in own}
        missing = [s for s in own if stats[s.name] is None]
        _say(f"{len(own) - len(missing):,} of {len(own):,} shards are done already")
        summary = Summary()
        for known in filter(None, stats.values()):
            _report(known)
            _add(summary, known)
        outcomes = distribute(partial(work_on, job), missing) if missing else iter(())
        for outcome in _watched(outcomes, len(missing), summary):
            if outcome.stops:
                raise CaptioningError(f"{outcome.error}; run the same command again")
            _report(outcome)
            _add(summary, outcome)
        if missing:
            folder.remove_parts(written)
    return summary


def _locked(folder: OutputFolder, name: str) -> AbstractContextManager[None]:
    """Keep a second run of the same share out, where a file can be locked."""
    if not is_local(folder.place):
        return nullcontext()
    return locked(Path(folder.path) / name, Path(folder.path), "name another output")


def _about(job: Job, source: Input) -> dict[str, Any]:
    """What `_run.json` holds: all that must be the same when the run goes on."""
    return {
        "format": FORMAT,
        "settings": job.task.settings(),
        "rows": job.format,
        "input": source.place,
        "kind": source.kind,
        "keys": source.keys,
    }


def _check_run(folder: OutputFolder, found: set[str], job: Job, source: Input) -> None:
    """Raise `CaptioningError` where the output is another run's, or of something else."""
    if RUN not in found:
        ours = (stats_name(""), f".{job.format}")
        others = [name for name in found if name.endswith(ours) and not name.startswith(".")]
        if others:
            raise CaptioningError(
                f"{folder.place} holds {min(others)}, but no {RUN} of a run; name a folder of its "
                "own"
            )
        return
    try:
        old = json.loads(folder.read(RUN))
        before = {key: old.get(key) for key in _about(job, source)}
    except (AttributeError, *RAISED) as error:
        raise CaptioningError(f"{folder.place}/{RUN} can't be read: {error}") from None
    for key, value in json.loads(json.dumps(_about(job, source))).items():
        if before[key] != value:
            raise CaptioningError(
                f"{folder.place} is the output of another run: its {_NAMES.get(key, key)} "
                f"{_difference(before[key], value)}; name another output with -o, or give what it "
                "was made of"
            )


_NAMES = {"settings": "settings differ:", "rows": "--format", "keys": "list of photos"}
"""How parts of `_run.json` are called in messages."""


def _difference(before: Any, now: Any) -> str:
    """What differs, in short."""
    if isinstance(before, dict) and isinstance(now, dict):
        key = next(key for key in {**before, **now} if before.get(key) != now.get(key))
        inside = _difference(before.get(key), now.get(key))
        return inside if isinstance(before.get(key), dict) else f"{key} {inside}"
    return f"was {str(before)[:60]}, now it is {str(now)[:60]}"


def _write_run(folder: OutputFolder, found: set[str], job: Job, source: Input) -> None:
    """Write `_run.json`; the names of files of shards may have become more."""
    about = _about(job, source) | {"shards": [shard.name for shard in source.shards]}
    content = json.dumps(about, indent=1).encode() + b"\n"
    if RUN not in found or folder.read(RUN) != content:
        folder.write(RUN, content)


def _known(folder: OutputFolder, shard: Shard, found: set[str], job: Job) -> Outcome | None:
    """What `_stats.json` says of a shard that is done, None of one that isn't."""
    name = stats_name(shard.name)
    if name not in found or f"{shard.name}.{job.format}" not in found:
        return None
    try:
        stats = json.loads(folder.read(name))
        # A file that has another size now is done again: it may have been half there.
        fits = stats["bytes"] == shard.size and stats["run"] == job.run
        figures = {key: stats[key] for key in ("photos", "failed", "damaged", "skipped")}
        return Outcome(shard.name, **figures) if fits else None
    except (TypeError, LookupError, *RAISED):
        return None


def _watched(outcomes: Iterator[Outcome], number: int, summary: Summary) -> Iterator[Outcome]:
    """The outcomes of so many shards, with a bar on a terminal."""
    from tqdm import tqdm

    with tqdm(total=number, unit=" shards", disable=None if number else True) as bar:
        for outcome in outcomes:
            bar.update()
            bar.set_postfix(photos=summary.photos + outcome.photos, refresh=False)
            yield outcome


def _add(summary: Summary, outcome: Outcome) -> None:
    if outcome.error:
        summary.remaining += 1
        return
    summary.done += 1
    summary.photos += outcome.photos
    summary.failed += outcome.failed
    summary.damaged += outcome.damaged is not None


def _report(outcome: Outcome) -> None:
    """Say what was wrong with a shard."""
    for key, why in outcome.skipped.items():
        _say(f"skipped {key} in shard {outcome.name}: it {why}")
    if outcome.damaged:
        _say(f"shard {outcome.name} after {outcome.photos:,} photos: {outcome.damaged}")
    if outcome.error:
        _say(f"shard {outcome.name} isn't done: {outcome.error}")


def _say(text: str) -> None:
    print(shown(text), file=sys.stderr)
