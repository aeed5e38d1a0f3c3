"""Notices when another process of a distributed training ends, and ends this one with a message.

The processes tell each other that they are alive through JAX's own coordination service, which
process 0 runs. JAX alone would end the process, too, but without saying which other one is gone.
When process 0 itself is gone, so is the service, and JAX ends the others at once.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from captioning.errors import CaptioningError, shown
from captioning.training.distribution import coordination

BEAT = 2.0
"""Seconds between two signs of life."""

SILENT_AFTER = 30.0
"""A process without a sign of life for so many seconds is gone."""

SILENT_AFTER_FAULT = 10.0
"""The same once a computation has failed, which is what a process that ends does to the others."""

TO_RESUME = (
    "start all processes again with --resume (without it, with --overwrite, if no epoch was "
    "complete); any number of processes will do"
)


class Watch:
    """Signs of life of this process, and an eye on those of the others."""

    def __init__(self, process: int, processes: int) -> None:
        self._client: Any = coordination()
        self._process, self._processes = process, processes
        self._silent_after = SILENT_AFTER
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin; ends the process when another one is gone."""
        self._thread.start()

    def close(self) -> None:
        """Wait until all processes have come here, then watch no more."""
        # As long as it takes process 0 to write the model; `_run` notices when one never comes.
        self._client.wait_at_barrier("captioning/end", 24 * 3600 * 1000)
        self._closed.set()
        self._thread.join()

    def tell(self, reason: str) -> None:
        """Tell the others why this process ends before the training does."""
        self._closed.set()
        with suppress(Exception):  # it ends either way
            self._client.key_value_set(
                f"captioning/ended/{self._process}", reason, allow_overwrite=True
            )
            if self._process == 0:
                time.sleep(3 * BEAT)  # the service ends with this process: let them read it

    def await_verdict(self) -> None:
        """After a failed computation: give `_run` the time to find out which process is gone."""
        self._silent_after = SILENT_AFTER_FAULT
        self._thread.join(SILENT_AFTER_FAULT + 5 * BEAT)

    def _run(self) -> None:
        beats: dict[int, tuple[str, float]] = {}
        count = 0
        while not self._closed.wait(BEAT):
            count += 1
            try:
                self._beat(count)
                ended = self._read("ended")
                now = time.monotonic()
                for process, beat in self._read("beat").items():
                    if beats.get(process, ("", 0.0))[0] != beat:
                        beats[process] = (beat, now)
                silent = [
                    process
                    for process in range(self._processes)
                    if now - beats.setdefault(process, ("", now))[1] > self._silent_after
                ]
            except Exception:  # JAX' own kinds of errors, of a service that is gone
                if self._closed.is_set():
                    return
                self._end({0: "it doesn't answer any more"})
            if silent and not ended:
                ended = dict.fromkeys(silent, "it gives no sign of life any more")
                for process, reason in ended.items():
                    self._client.key_value_set(
                        f"captioning/ended/{process}", reason, allow_overwrite=True
                    )
            if ended:
                self._end(ended)

    def _beat(self, count: int) -> None:
        key = f"captioning/beat/{self._process}"
        self._client.key_value_set(key, str(count), allow_overwrite=True)

    def _read(self, what: str) -> dict[int, str]:
        found = self._client.key_value_dir_get(f"captioning/{what}/")
        return {int(key.rsplit("/", 1)[1]): value for key, value in found}

    def _end(self, ended: dict[int, str]) -> None:
        """Say which processes have ended, and end this one."""
        process = min(ended)
        print(f"error: {shown(said(process, self._processes, ended[process]))}", file=sys.stderr)
        sys.stderr.flush()
        if self._process == 0:
            time.sleep(3 * BEAT)  # the service ends with this process: let the others read it
        os._exit(2)  # the main thread may wait for the lost process forever


def said(process: int, processes: int, reason: str) -> str:
    """The message that a process has ended."""
    return f"process {process} of {processes} has ended ({reason}); {TO_RESUME}"


@contextmanager
def watched(process: int, processes: int) -> Iterator[None]:
    """Inside, this process ends when another one does, and the others when this one does."""
    watch = Watch(process, processes)
    watch.start()
    try:
        yield
    except (CaptioningError, KeyboardInterrupt) as error:
        watch.tell(str(error) or "stopped with Ctrl-C")
        raise
    except Exception as error:
        watch.await_verdict()
        watch.tell(f"{type(error).__name__}: {error}"[:300])
        raise
    watch.close()
