"""What workers do in the tests of shards: no model, so that they start at once."""

import os
import resource
import signal
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.vision.packed import PackedPhoto


@dataclass(frozen=True)
class DigestTask:
    """A `Task` whose captions are the digests of the photos' bytes.

    model: stands for the model; seconds: so long a group of photos takes; largest: the most bytes
    that a worker may write into a file, 0 without a limit. A photo with "deadly" in its key ends
    the worker.
    """

    model: str = "one"
    seconds: float = 0.0
    largest: int = 0

    columns = ("key", "caption", "score", "familiar", "error")

    def settings(self) -> dict:
        """What the results depend on."""
        return {"model": self.model}

    def load(self) -> "DigestMaker":
        """Nothing to load."""
        if self.largest:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.largest, -1))
        return DigestMaker(self)


class DigestMaker:
    """A `Maker` of digests."""

    def __init__(self, task: DigestTask) -> None:
        self._task = task

    def make(self, keys: list[str], photos: list) -> tuple[list[dict], dict]:
        """A row a photo."""
        time.sleep(self._task.seconds)
        rows = [self._row(key, photo) for key, photo in zip(keys, photos, strict=True)]
        return rows, {}

    def _row(self, key: str, photo: Path | PackedPhoto) -> dict:
        caption = error = None
        try:
            content = photo.read_bytes()
        except OSError as reason:
            error = reason.strerror or "no such file"
        else:
            if "deadly" in key:
                os.kill(os.getpid(), signal.SIGKILL)
            caption = sha256(content).hexdigest()
        score = None if error else -1.0
        return {"key": key, "caption": caption, "score": score, "familiar": None, "error": error}


class NoMemoryTask(DigestTask):
    """A `Task` whose model can't be loaded."""

    def load(self) -> "DigestMaker":
        """Raises."""
        raise CaptioningError("the model in here is another one")
