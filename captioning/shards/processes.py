"""Shards handed out to processes of this machine. A process that dies is replaced."""

import signal
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing import connection, get_context, parent_process
from typing import Any, cast

from captioning.shards.shard import Shard
from captioning.shards.work import MOST_DEATHS, Outcome, Work


def distribute(work: Work, shards: Sequence[Shard], workers: int) -> Iterator[Outcome]:
    """The shards' outcomes, as they come. work: can be pickled."""
    waiting, deaths = deque(shards), Counter[str]()
    running: dict[Any, tuple[Any, Shard]] = {}

    def hand_out(ours: Any = None, process: Any = None) -> None:
        if ours is None:
            ours, theirs = connection.Pipe()  # not a fork: it would copy locked locks of threads
            process = get_context("spawn").Process(target=_serve, args=(work, theirs), daemon=True)
            process.start()
            theirs.close()
        running[ours] = process, waiting.popleft()
        with suppress(OSError):  # it has died since, as reading from it will tell
            ours.send(running[ours][1])

    try:
        while waiting or running:
            while waiting and len(running) < workers:
                hand_out()
            for ours in cast(list[Any], connection.wait(list(running))):
                process, shard = running.pop(ours)
                try:
                    yield ours.recv()
                    if waiting:
                        hand_out(ours, process)
                except (EOFError, OSError):
                    deaths[shard.name] += 1
                    if deaths[shard.name] < MOST_DEATHS:
                        waiting.appendleft(shard)
                    else:
                        yield Outcome(shard.name, error=f"it brought {MOST_DEATHS} workers down")
    finally:
        for process, _ in running.values():
            process.kill()


def _serve(work: Work, theirs: Any) -> None:
    def end_with_driver() -> None:
        connection.wait([parent_process().sentinel])  # type: ignore[union-attr]
        signal.raise_signal(signal.SIGTERM)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches it too; the driver ends it
    threading.Thread(target=end_with_driver, daemon=True).start()
    with suppress(EOFError):
        while True:
            theirs.send(work(theirs.recv()))
