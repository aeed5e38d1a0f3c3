"""Desks for tests: one in this process, with the shipped model, or one that can be killed."""

import json
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn

from captioning import load
from captioning.app.desk import Desk, DeskSettings
from captioning.app.learning import Learning, LearningSettings
from captioning.app.photos import PhotoFolders
from captioning.app.server import make_app
from captioning.app.shared_captioner import SharedCaptioner
from tests.conftest import ROOT

MODEL = ROOT / "models" / "flickr8k"


@dataclass(frozen=True)
class Served:
    """A desk that is served: url, and `desk` itself where it is in this process."""

    url: str
    port: int
    desk: Desk

    def ask(self, path: str, body: Any = None, method: str | None = None, **headers: str) -> Any:
        """The answer's JSON. Raises `urllib.error.HTTPError` for a refusal."""
        return json.loads(self.raw(path, body, method, **headers) or b"null")

    def raw(self, path: str, body: Any = None, method: str | None = None, **headers: str) -> bytes:
        """The answer's bytes; body: sent as JSON, or as it is if it is bytes."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        request = urllib.request.Request(self.url + path, data, named, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def status(self, path: str, body: Any = None, method: str | None = None, **headers: str) -> int:
        """The answer's status."""
        try:
            self.raw(path, body, method, **headers)
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def rows(self) -> list[dict[str, Any]]:
        """All rows, by name."""
        return sorted(self.ask("/desk/changes")["rows"], key=lambda row: row["name"])

    def decide(self, number: int, state: str, caption: str = "", **more: Any) -> dict[str, Any]:
        """A decision as the page sends it."""
        body = {"state": state, "caption": caption, "revision": 1 << 40, "client": "c"}
        return self.ask(f"/desk/photos/{number}", {**body, "person": "", **more})

    def captioned(self) -> list[dict[str, Any]]:
        """All rows, once every photo has captions or can't be read."""
        until(lambda: self.desk.background.progress().total > 0)
        until(lambda: not _waits(self.desk), 120)
        return self.rows()


def _waits(desk: Desk) -> bool:
    progress = desk.background.progress()
    return progress.done < progress.total


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Wait until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


@cache
def captioner() -> SharedCaptioner:
    """The shipped model, run by ONNX Runtime; loaded once."""
    return SharedCaptioner(load(MODEL, runtime="onnx"))


def form(*photos: tuple[str, bytes]) -> tuple[bytes, str]:
    """The body of a form with photos, and its content type."""
    body = b"".join(
        b'--xyz\r\nContent-Disposition: form-data; name="photo"; filename="'
        + name.encode()
        + b'"\r\nContent-Type: image/jpeg\r\n\r\n'
        + content
        + b"\r\n"
        for name, content in photos
    )
    return body + b"--xyz--\r\n", "multipart/form-data; boundary=xyz"


@contextmanager
def served(
    folder: Path | None, project: Path, token: str | None = None, port: int = 0
) -> Iterator[Served]:
    """A desk of this process at a port, by default a free one."""
    folders = PhotoFolders(folder, False, project.with_name(f".{project.stem}-dropped"))
    settings = DeskSettings(project, folders, project.with_name("corrections.jsonl"))
    desk = Desk(settings, captioner())
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        port = listening.getsockname()[1]
        learning = Learning(desk, LearningSettings(MODEL, project.parent / "models", "pip ..."))
        app = make_app(desk, learning, "0", token)
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
        )
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            until(lambda: server.started)
            yield Served(f"http://127.0.0.1:{port}", port, desk)
        finally:
            server.should_exit = True
            thread.join(30)


@contextmanager
def process(*arguments: object, cwd: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    """app.py as its user starts it: the process, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, ROOT / "app.py", *arguments, "--model", MODEL, "--port", port]
    log = (cwd / "log").open("a")
    started = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=log, text=True, cwd=cwd
    )
    try:
        line = started.stdout.readline() if started.stdout else ""
        assert f":{port}" in line, (cwd / "log").read_text()
        yield started, f"http://127.0.0.1:{port}"
    finally:
        started.kill()
        started.wait()
        log.close()
