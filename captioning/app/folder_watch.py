"""Looks every few seconds what has come into the photos' folder, gone, or been renamed."""

import time
from collections.abc import Callable
from threading import Event, Thread

PAUSE = 3.0
"""Seconds from one look to the next."""

SHARE = 0.05
"""Of the time at the most is spent on looking, however many photos there are."""


class FolderWatch:
    """A thread that calls `look` until `stop`."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._stop = Event()
        self._thread = Thread(target=self._run, name="folder", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the look at hand."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        pause = PAUSE
        while not self._stop.wait(pause):
            began = time.monotonic()
            self._look()
            pause = max(PAUSE, (time.monotonic() - began) / SHARE)
