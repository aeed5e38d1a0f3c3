"""`train.py --distributed`: this process' part of a training on several.

The training runs in a process of its own, whose end this one explains: JAX ends it in the middle
of whatever it does once the process that the others report to is gone.
"""

import argparse
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from captioning.commands.run import run_main
from captioning.errors import CaptioningError, command_line
from captioning.training.distribution import JOINED_AFTER, Place, join, leave, silence_bars

OPTIONS = ("address", "processes", "process")
"""Options that say where the processes meet."""

_VARIABLES = {
    "address": "KERAS_DISTRIBUTION_JOB_ADDRESSES",
    "processes": "KERAS_DISTRIBUTION_NUM_PROCESSES",
    "process": "KERAS_DISTRIBUTION_PROCESS_ID",
}


_JOINED = "all processes have met"
"""What the training's process writes beside JAX' messages once it has joined the others."""


def add_distribution(add: Callable[..., Any]) -> None:
    """The options on several processes."""
    add(
        "--distributed",
        action="store_true",
        help="train together with other processes, each started with this command; with "
        "KERAS_BACKEND=jax",
    )
    add("--address", metavar="HOST:PORT", help="of process 0, the one that writes")
    add("--processes", type=int, metavar="N", help="how many there are")
    add("--process", type=int, metavar="I", help="which one this is, 0 to N - 1")


def place_of(options: argparse.Namespace) -> Place:
    """Where the processes meet, from the options, else Keras' variables, else None: JAX asks SLURM.

    Raises `CaptioningError` for values that can't be, `ModuleNotFoundError` without JAX.
    """
    if os.environ.get("KERAS_BACKEND") != "jax":
        raise CaptioningError(
            "--distributed computes with JAX: put KERAS_BACKEND=jax before the command, as in "
            f"KERAS_BACKEND=jax {command_line('train')} --distributed"
        )
    if find_spec("jax") is None:
        raise ModuleNotFoundError("No module named 'jax'", name="jax")  # `run_main` says more
    address = options.address or os.environ.get(_VARIABLES["address"]) or None
    if address:
        address = address.split(",")[0].strip()  # Keras allows one a process; the first counts
        host, colon, port = address.rpartition(":")
        if not (host and colon and port.isdigit() and 0 < int(port) < 65536):
            raise CaptioningError(f"--address {address} is not HOST:PORT, as in 10.0.0.1:4711")
    processes, process = (_count(options, name) for name in ("processes", "process"))
    given = (address, processes, process)
    if any(value is not None for value in given) and None in given:
        missing = [f"--{n}" for n, v in zip(OPTIONS, given, strict=True) if v is None]
        raise CaptioningError(f"{' and '.join(missing)} must be given, too")
    if processes is not None and process is not None and not 0 <= process < processes:
        raise CaptioningError(
            f"--process {process} is not from 0 to {processes - 1}, of --processes {processes}"
        )
    return Place(address, processes, process)


def _count(options: argparse.Namespace, name: str) -> int | None:
    value = getattr(options, name)
    given = os.environ.get(_VARIABLES[name]) if value is None else value
    if given is None or given == "":
        return None
    try:
        return int(given)
    except ValueError:
        raise CaptioningError(f"{_VARIABLES[name]} is {given!r}, not a number") from None


def train_distributed(
    options: argparse.Namespace, train: Callable[[argparse.Namespace], int]
) -> int:
    """Run `train` in a process that has joined the others; its exit code.

    Raises `CaptioningError` when nobody answers at the address, or when the process is ended by
    JAX or the system.
    """
    place = place_of(options)
    if place.address and place.process:
        _await_answer(place.address)
    context = multiprocessing.get_context("spawn")
    messages = Path(tempfile.mkstemp(prefix="captioning-")[1])
    child = context.Process(target=_run, args=(train, options, place, messages))
    try:
        child.start()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the child, and it says so
        child.join()
        written = messages.read_text(encoding="utf-8", errors="replace")
    finally:
        with suppress(OSError):
            messages.unlink()
    code = child.exitcode or 0
    if code < 0:
        raise CaptioningError(_explanation(-code, place, written))
    return code


def _await_answer(address: str) -> None:
    """Wait until process 0 has begun to listen."""
    host, port = address.rsplit(":", 1)
    until = time.monotonic() + JOINED_AFTER
    while True:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=5):
                return
        except OSError as error:
            if time.monotonic() > until:
                raise CaptioningError(
                    f"nobody answers at {address} after {JOINED_AFTER} seconds "
                    f"({error.strerror or error}); start process 0 there, with the same --address"
                ) from None
            time.sleep(0.5)


def _explanation(ended_by: int, place: Place, written: str) -> str:
    """Why the training's process was ended by a signal."""
    from captioning.training.watch import said

    if ended_by != signal.SIGABRT or "coordination" not in written.lower():
        last = f": {written.strip()[-500:]}" if written.strip() else ""
        name = signal.Signals(ended_by).name
        return f"the training's process was ended by the system ({name}){last}"
    if _JOINED in written:
        return said(0, place.processes or 0, "it doesn't answer any more")
    count = f"all {place.processes} processes" if place.processes else "all processes"
    where = f" at {place.address}" if place.address else ""
    return (
        f"not {count} have met{where} within {JOINED_AFTER} seconds; start them all within that "
        "time, and look whether another one has said why it ended"
    )


def _run(
    train: Callable[[argparse.Namespace], int],
    options: argparse.Namespace,
    place: Place,
    messages: Path,
) -> None:
    """The training's process: `train` among the others."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # What JAX and its libraries write from C++ goes to the file: ten lines for each sentence.
    sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    os.dup2(os.open(messages, os.O_WRONLY | os.O_APPEND), 2)

    def main() -> int:
        from captioning.training.watch import watched

        process, processes = join(place)
        os.write(2, f"{_JOINED}\n".encode())
        if process:
            silence_bars()
        from tqdm import tqdm

        # tqdm's own lock is one between processes, which would be left behind by `os._exit`.
        tqdm.set_lock(threading.RLock())
        with watched(process, processes):
            code = train(options)
        leave()
        return code

    run_main(main, "all processes with --resume continue")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
