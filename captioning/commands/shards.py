"""What `caption --shards` and `features --shards` have in common: their options, and the run."""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captioning.commands.options import check_at_least, refuse
from captioning.errors import CaptioningError

if TYPE_CHECKING:
    from captioning.shards.inputs import Input
    from captioning.shards.run import Distribute, Share, Summary
    from captioning.shards.work import Outcome, Task

DISTRIBUTORS = ("processes", "ray")


def wants_shards(arguments: Sequence[str] | None) -> bool:
    """Whether a command line asks for --shards, which has options of its own."""
    given = sys.argv[1:] if arguments is None else arguments
    return any(argument.partition("=")[0] == "--shards" for argument in given)


def add_shards(add: Callable[..., Any]) -> None:
    """The options on input, output and how the shards are handed out."""
    add(
        "--shards",
        nargs="?",  # for `--shards --help`
        metavar="INPUT",
        help="a folder of photos, a list of them (.txt), tar shards or Parquet tables: a file, a "
        "folder or a pattern; here, or by s3://, gs://, hdfs:// and whatever fsspec reaches",
    )
    add("-o", "--output", required=True, metavar="FOLDER", help="where the results go")
    add(
        "--distributor",
        choices=DISTRIBUTORS,
        default="processes",
        help="what hands the shards out: processes of this machine, or Ray (default: %(default)s)",
    )
    add(
        "--workers",
        type=int,
        metavar="N",
        help="shards at the same time (default: one a processor; with Ray, of the cluster)",
    )
    add(
        "--ray-address",
        metavar="HOST:PORT",
        help='of a Ray cluster, or "auto" for the one of this machine (default: Ray is started '
        "here, for this run)",
    )
    add(
        "--shard-index",
        metavar="I/N",
        help="do the shards whose number leaves I when divided by N (I from 0): for job arrays",
    )
    add(
        "--shard-size",
        type=int,
        default=1000,
        metavar="N",
        help="photos a shard, of folders, lists and tables; a tar file is one (default: 1000)",
    )
    add(
        "--image-column",
        default="",
        metavar="NAME",
        help="of a table: paths or photos' bytes (default: recognised)",
    )
    add(
        "--key-column",
        default="",
        metavar="NAME",
        help="of a table: the keys in the results (default: recognised)",
    )
    add(
        "--tries",
        type=int,
        default=5,
        metavar="N",
        help="skip a photo that has brought N workers down (default: %(default)s)",
    )


def check_shards(options: argparse.Namespace) -> None:
    """Raise `CaptioningError` for values that can't be, or don't fit each other."""
    check_at_least(options, 1, "workers", "shard_size", "tries")
    refuse(
        (
            not options.shards,
            "--shards wants an input: a folder, a list (.txt), tar or Parquet files",
        ),
        (not options.output, "-o names no folder; is a variable of the shell not set?"),
        (
            options.ray_address and options.distributor != "ray",
            "--ray-address wants --distributor ray",
        ),
    )
    share_of(options)


def share_of(options: argparse.Namespace) -> "Share":
    """The share of --shard-index. Raises `CaptioningError` for one that can't be."""
    from captioning.shards.run import Share

    given = options.shard_index
    if given is None:
        return Share()
    found = re.fullmatch(r"(\d+)/(\d+)", given)
    if not found or int(found[1]) >= int(found[2]):
        raise CaptioningError(
            f"--shard-index {given} is not I/N with I from 0 to N - 1: 0/4, 1/4, 2/4 and 3/4 are "
            "four jobs"
        )
    return Share(int(found[1]), int(found[2]))


def input_of(options: argparse.Namespace) -> "Input":
    """The input, cut into shards."""
    from captioning.shards.inputs import Cut, read_input

    cut = Cut(options.shard_size, options.image_column, options.key_column)
    return read_input(options.shards, cut)


def run(options: argparse.Namespace, source: "Input", task: "Task", rows: str) -> "Summary":
    """Do what is missing, and say what is there then. rows: the format of the rows."""
    from captioning.shards.run import run_shards
    from captioning.shards.work import Job

    job: Job = Job(task, options.output, rows, options.tries)
    distribute = _distributor(options)
    return run_shards(job, source, distribute, share_of(options))


def _distributor(options: argparse.Namespace) -> "Distribute":
    """What --distributor names. Raises ModuleNotFoundError for Ray where it isn't installed."""
    from captioning.files.onnx_session import processors

    if options.distributor == "ray":
        from captioning.shards import ray_cluster, ray_tasks

        # Before anything is written: Ray may be missing, or no cluster be there.
        ray_cluster.imported(options.ray_address)
        if options.ray_address:
            ray_cluster.connect(options.ray_address)
        else:
            print(
                "Ray is started on this machine, for this run; --ray-address names a cluster",
                file=sys.stderr,
            )
        gpu = getattr(options, "runtime", None) == "keras"

        def by_ray(work: Any, shards: Any) -> "Iterator[Outcome]":
            return ray_tasks.distribute(work, shards, options.workers, options.ray_address, gpu)

        return by_ray
    from captioning.shards import processes

    def by_processes(work: Any, shards: Any) -> "Iterator[Outcome]":
        return processes.distribute(work, shards, options.workers or processors())

    return by_processes


def report(summary: "Summary", output: str, what: str) -> int:
    """Say what is in the output; the exit code: 1 where something is missing."""
    parts = [f"{summary.photos - summary.failed:,} of {summary.photos:,} photos have {what}"]
    if summary.failed:
        parts.append(f"of the others the column error in {output} says why")
    if summary.damaged:
        parts.append(f"{summary.damaged:,} shards are damaged")
    if summary.remaining:
        parts.append(f"{summary.remaining:,} shards are missing: run the same command again")
    print("; ".join(parts), file=sys.stderr)
    return 0 if summary.is_whole else 1


def place_of(path: Path) -> str:
    """A path as the place that workers look for it at, whatever their current folder."""
    return str(path.absolute())
