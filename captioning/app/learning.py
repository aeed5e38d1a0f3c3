"""Training on the corrections, as another process; the new model is kept only when asked."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from captioning.app.corrections import Correction, write_corrections
from captioning.app.desk import Desk
from captioning.errors import CaptioningError
from captioning.files.text import write_json, write_text
from captioning.files.whole import written_whole
from captioning.inference.description import DESCRIPTION

SHOWN = 10
"""Photos whose captions are shown before and after."""

LEARNING_RATE = "1e-5"
"""Small, so that the model keeps what it knows."""

FEWEST = 20
"""Corrections: with fewer there is too little to train on, and to choose the best epoch by."""

HELD_BACK = 5
"""One of so many corrections is not trained on: they choose the epoch, and are shown first."""

RESULT = "result.json"
"""The captions before and after, beside the new model; written last, when all of it is there."""

TIME_LEFT = re.compile(r"epochs left: \d+ at the most, in (\S+) h")
"""What `train.py` says after an epoch."""


@dataclass(frozen=True)
class LearningSettings:
    """model: the folder to start from; models: where a model goes that is kept; install: the
    command that installs what training needs."""

    model: Path
    models: Path
    install: str


class Learning:
    """At most one training at a time; what it makes lies beside the project until it is kept,
    also when the desk is ended before that."""

    def __init__(self, desk: Desk, settings: LearningSettings) -> None:
        self._desk, self._settings = desk, settings
        project = desk.settings.project
        self.folder = project.with_name(f".{project.stem}-learning")
        self._lock = Lock()
        self._process: subprocess.Popen | None = None
        self._thread: Thread | None = None
        self._state = self._left()
        self._closing = False

    def _left(self) -> dict[str, Any]:
        """The state that an earlier desk left: a new model that nobody has decided on, or none."""
        try:
            pairs = json.loads((self.folder / RESULT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            # Of a training that was cut short; it has copies of private photos.
            shutil.rmtree(self.folder, ignore_errors=True)
            return _state("none")
        return _state("done", "A new model is trained. Keep it?", pairs)

    def about(self) -> dict[str, Any]:
        """state: "none", "running", "done" or "failed"; a sentence; pairs: captions of photos
        before and after, with the person's; corrections: how many there are; hindrance: why no
        training can begin, or ""."""
        count = len(self._desk.corrections())
        with self._lock:
            return {**self._state, "corrections": count, "hindrance": self._hindrance(count)}

    def _hindrance(self, count: int) -> str:
        if find_spec("tensorflow") is None or find_spec("keras") is None:
            return f"Training needs more packages: {self._settings.install}"
        if count < FEWEST:
            captions = "1 caption is" if count == 1 else f"{count} captions are"
            return f"{captions} corrected; {FEWEST} are the fewest to train on."
        return ""

    def start(self) -> None:
        """Begin. Raises `CaptioningError` where training isn't installed, or has no use yet."""
        count = len(self._desk.corrections())
        if hindrance := self._hindrance(count):
            raise CaptioningError(hindrance)
        with self._lock:
            if self._state["state"] == "running":
                raise CaptioningError("a training is running already")
            if self._state["state"] == "done":
                raise CaptioningError("there is a new model already: keep or delete it first")
            self._state = _state("running", f"Reading {count} corrected photos ...")
        self._thread = Thread(target=self._run, name="learning", daemon=True)
        self._thread.start()

    def keep(self) -> None:
        """Move the new model to the others. Raises `CaptioningError` where there is none."""
        target = self._settings.models / f"desk-{datetime.now(UTC):%Y-%m-%d-%H%M%S}"
        new = self.folder / "model"
        with self._lock:
            self._check_done()
            try:
                # Its description last: a model's folder that has it is whole.
                shutil.copytree(new, target, ignore=shutil.ignore_patterns(DESCRIPTION))
                with written_whole(target / DESCRIPTION) as beside:
                    shutil.copyfile(new / DESCRIPTION, beside)
            except (OSError, CaptioningError) as error:
                shutil.rmtree(target, ignore_errors=True)
                raise CaptioningError(f"cannot move the model to {target}: {error}") from None
            sentence = f"Kept. To caption with it, start the desk with --model {target}"
            self._state = _state("none", sentence)
        shutil.rmtree(self.folder, ignore_errors=True)

    def discard(self) -> None:
        """Delete the new model. Raises `CaptioningError` where there is none."""
        with self._lock:
            self._check_done()
            self._state = _state("none", "The new model was deleted.")
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
            state = _state("done", "Trained. Keep the new model?", pairs)
        except (CaptioningError, OSError) as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            state = _state("failed", f"Training failed: {error}")
        with self._lock:
            self._state = state

    def _train(self) -> list[dict[str, Any]]:
        """Train; the captions of some photos before and after."""
        shutil.rmtree(self.folder, ignore_errors=True)
        photos, shown, model = (self.folder / name for name in ("photos", "shown", "model"))
        self.folder.mkdir(parents=True, mode=0o700)  # copies of private photos
        rows = self._copied(corrected(self._desk.project.rows()), photos)
        held_back = held_back_of(rows)
        write_dataset(self.folder, rows, held_back)
        start, data = self._settings.model, self.folder / "data"
        self._command(
            *("features", "--like", start, "--images", photos, "--text", self.folder),
            *("--output", data),
        )
        self._say("Training ...")
        self._command(
            *("train", "--initial", start, "--data", data, "--learning-rate", LEARNING_RATE),
            *("--output", model),
        )
        self._say("Captioning photos with the new model ...")
        with suppress(CaptioningError):  # without ONNX Runtime it captions as well, only slower
            self._command("export", model)
        some = self._copied(to_show(self._desk.project.rows(), held_back), shown)
        neutral = ["--neutral"] * self._desk.captioner.neutral
        lines = self._command(
            *("caption", "--model", model, "--format", "jsonl", *neutral),
            *(shown / copy_name(row) for row in some),
        )
        said = {Path(row["image"]).name: row.get("caption") for row in map(json.loads, lines)}
        pairs = [pair_of(row, said.get(copy_name(row)), held_back) for row in some]
        for folder in (photos, shown, data):
            shutil.rmtree(folder)
        write_json(self.folder / RESULT, pairs)
        return pairs

    def _copied(self, rows: Sequence[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
        """Copy photos into a folder; those of the rows that are still there.

        Each under its number: a folder's photos and dropped ones may have the same name.
        """
        folder.mkdir()
        kept = []
        for row in rows:
            with suppress(FileNotFoundError):
                place = self._desk.folders.locate(row["path"], row["dropped"])
                shutil.copyfile(place, folder / copy_name(row))
                kept.append(row)
        return kept

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
        output = self.folder / "output"
        with output.open("w", encoding="utf-8") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "captioning", *map(str, arguments)],
                stdout=file,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, "PYTHONPATH": path},
            )
        last: deque[str] = deque(maxlen=50)
        for line in self._process.stderr or ():
            last.append(line.rstrip())
            if left := TIME_LEFT.search(line):
                self._say(f"Training: {left[1]} h are left at the most ...")
        if code := self._process.wait():
            faults = [line.removeprefix("error: ") for line in last if line.startswith("error: ")]
            reason = faults[-1] if faults else " ".join(last)[-300:]
            raise CaptioningError(reason or f"exit code {code}")
        return output.read_text(encoding="utf-8").splitlines()


def _state(state: str, sentence: str = "", pairs: Sequence[dict] = ()) -> dict[str, Any]:
    return {"state": state, "sentence": sentence, "pairs": list(pairs)}


def corrected(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The photos whose caption a person wrote in place of the model's."""
    return [row for row in rows if row["state"] == "edited" and row["caption"] and row["best"]]


def held_back_of(rows: Sequence[dict[str, Any]]) -> set[int]:
    """The numbers of one of `HELD_BACK` photos, by their content: so it is in every training.

    At least one, unless there are no rows.
    """
    found = {row["number"] for row in rows if int(row["photo"][:8], 16) % HELD_BACK == 0}
    return found or {row["number"] for row in rows[:1]}


def write_dataset(folder: Path, rows: Sequence[dict[str, Any]], held_back: Container[int]) -> None:
    """Corrections as training reads them; those that are held back are dev's."""
    corrections = [Correction(copy_name(row), row["caption"], row["best"][0][0]) for row in rows]
    write_corrections(folder / "corrections.jsonl", corrections)
    for split in ("train", "dev"):
        own = [row for row in rows if (row["number"] in held_back) == (split == "dev")]
        names = "".join(f"{copy_name(row)}\n" for row in own)
        write_text(folder / f"Flickr_8k.{split}Images.txt", names)


def to_show(rows: Sequence[dict[str, Any]], held_back: Container[int]) -> list[dict[str, Any]]:
    """The photos whose captions say most of a new model: those that it didn't learn from first.

    Of these the corrected ones that were held back, those whose caption was approved, and those
    that nobody has looked at; only then photos that it was trained on.
    """
    seen = [row for row in rows if row["best"] and row["present"] and row["copy_of"] is None]
    by_use = [
        [row for row in corrected(seen) if row["number"] in held_back],
        [row for row in seen if row["state"] == "approved"],
        [row for row in seen if row["state"] == "todo"],
        [row for row in corrected(seen) if row["number"] not in held_back],
    ]
    return list(chain(*by_use))[:SHOWN]


def pair_of(row: dict[str, Any], after: str | None, held_back: Container[int]) -> dict[str, Any]:
    """What the page shows of a photo; learned: whether the model was trained on it."""
    return {
        "number": row["number"],
        "before": row["best"][0][0],
        "after": after or "",
        "person": row["caption"] if row["state"] in ("approved", "edited") else "",
        "learned": row["state"] == "edited" and row["number"] not in held_back,
    }


def copy_name(row: dict[str, Any]) -> str:
    """The name of a photo's copy."""
    return f"{row['number']}{row['path'].suffix}"
