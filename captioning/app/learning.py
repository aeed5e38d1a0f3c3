"""Training on the corrections, as another process; the new model is kept only when asked."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from captioning.app.corrections import write_corrections
from captioning.app.desk import Desk
from captioning.errors import CaptioningError

SHOWN = 10
"""Photos whose captions are shown before and after."""

LEARNING_RATE = "1e-5"
"""Small, so that the model keeps what it knows."""

FEWEST = 20
"""Corrections: with fewer there may be none for training, or none for dev."""


@dataclass(frozen=True)
class LearningSettings:
    """model: the folder to start from; models: where a model goes that is kept; install: the
    command that installs what training needs."""

    model: Path
    models: Path
    install: str


class Learning:
    """At most one training at a time; what it makes lies beside the project until it is kept."""

    def __init__(self, desk: Desk, settings: LearningSettings) -> None:
        self._desk, self._settings = desk, settings
        project = desk.settings.project
        self.folder = project.with_name(f".{project.stem}-learning")
        self._lock = Lock()
        self._process: subprocess.Popen | None = None
        self._thread: Thread | None = None
        self._state: dict[str, Any] = {"state": "none", "sentence": "", "pairs": []}
        self._closing = False

    def about(self) -> dict[str, Any]:
        """state: "none", "running", "done" or "failed"; a sentence; pairs: captions of photos
        before and after, with the person's; corrections: how many there are."""
        with self._lock:
            return {**self._state, "corrections": len(self._desk.corrections())}

    def start(self) -> None:
        """Begin. Raises `CaptioningError` where training isn't installed, or has no use yet."""
        if find_spec("tensorflow") is None or find_spec("keras") is None:
            raise CaptioningError(f"training needs more packages: {self._settings.install}")
        count = len(self._desk.corrections())
        if count < FEWEST:
            raise CaptioningError(
                f"there are {count} corrected captions; {FEWEST} are the fewest to train on"
            )
        with self._lock:
            if self._state["state"] == "running":
                raise CaptioningError("a training is running already")
            sentence = f"Reading {count} corrected photos ..."
            self._state = {"state": "running", "sentence": sentence, "pairs": []}
        self._thread = Thread(target=self._run, name="learning", daemon=True)
        self._thread.start()

    def keep(self) -> None:
        """Move the new model to the others. Raises `CaptioningError` where there is none."""
        name = f"desk-{datetime.now(UTC):%Y-%m-%d-%H%M%S}"
        target = self._settings.models / name
        with self._lock:
            self._check_done()
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(self.folder / "model", target)
            except OSError as error:
                raise CaptioningError(f"cannot move the model to {target}: {error}") from None
            sentence = f"Kept in {target}. Start the desk again to caption with it."
            self._state = {"state": "none", "sentence": sentence, "pairs": []}
        shutil.rmtree(self.folder, ignore_errors=True)

    def discard(self) -> None:
        """Delete the new model. Raises `CaptioningError` where there is none."""
        with self._lock:
            self._check_done()
            self._state = {"state": "none", "sentence": "The new model was deleted.", "pairs": []}
        shutil.rmtree(self.folder, ignore_errors=True)

    def _check_done(self) -> None:
        if self._state["state"] != "done":
            raise CaptioningError("there is no new model")

    def close(self) -> None:
        """End a training that is running."""
        self._closing = True
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
        if self._thread is not None:
            self._thread.join(20)

    def _run(self) -> None:
        try:
            pairs = self._train()
            state = {"state": "done", "sentence": "Trained. Keep the new model?", "pairs": pairs}
        except (CaptioningError, OSError) as error:
            state = {"state": "failed", "sentence": f"Training failed: {error}", "pairs": []}
        with self._lock:
            self._state = state

    def _train(self) -> list[dict[str, str]]:
        """Train; the captions of some photos before and after."""
        shutil.rmtree(self.folder, ignore_errors=True)
        photos = self.folder / "photos"
        self.folder.mkdir(parents=True, mode=0o700)  # copies of private photos
        photos.mkdir()
        rows = [
            row for row in self._desk.project.rows() if row["state"] == "edited" and row["best"]
        ]
        corrections = []
        for row, correction in zip(rows, self._desk.corrections(), strict=True):
            # Each under its number: a folder's photos and dropped ones may have the same name.
            name = f"{row['number']}{row['path'].suffix}"
            shutil.copyfile(self._desk.folders.locate(row["path"], row["dropped"]), photos / name)
            corrections.append(type(correction)(name, correction.caption, correction.model_caption))
        write_corrections(self.folder / "corrections.jsonl", corrections)
        model, new = self._settings.model, self.folder / "model"
        data = self.folder / "data"
        self._command(
            "features", "--like", model, "--images", photos, "--text", self.folder, "--output", data
        )
        self._say("Training ...")
        self._command(
            "train",
            "--initial",
            model,
            "--data",
            data,
            "--learning-rate",
            LEARNING_RATE,
            "--output",
            new,
        )
        self._say("Captioning with the new model ...")
        some = corrections[:SHOWN]
        after = self._command(
            "caption", "--model", new, "--format", "jsonl", *(photos / one.image for one in some)
        )
        said = {Path(row["image"]).name: row["caption"] for row in map(json.loads, after)}
        return [
            {
                "before": one.model_caption,
                "after": said.get(one.image, ""),
                "person": one.caption,
                "number": one.image.split(".")[0],
            }
            for one in some
        ]

    def _say(self, sentence: str) -> None:
        with self._lock:
            self._state = {**self._state, "sentence": sentence}

    def _command(self, *arguments: object) -> Sequence[str]:
        """Run one of the project's commands: the lines of its output.

        Raises `CaptioningError` with its last message.
        """
        if self._closing:
            raise CaptioningError("the desk was ended")
        package = Path(__file__).parent.parent.parent
        path = os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "captioning", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": path},
        )
        output, messages = self._process.communicate()
        if self._process.returncode:
            lines = [line for line in messages.splitlines() if line.startswith("error: ")]
            reason = lines[-1].removeprefix("error: ") if lines else messages[-300:]
            raise CaptioningError(reason or f"exit code {self._process.returncode}")
        return output.splitlines()
