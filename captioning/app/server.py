"""The desk's web server: on this machine alone, or elsewhere with a token, until Ctrl-C."""

import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from captioning.app.desk import Desk
from captioning.app.guard import Guard
from captioning.app.learning import Learning
from captioning.app.out_routes import learning_routes, out_routes
from captioning.app.program_routes import program_routes
from captioning.app.routes import page_routes
from captioning.errors import CaptioningError


@dataclass(frozen=True)
class Address:
    """Where the desk is served; token: what those elsewhere must know, or None."""

    host: str
    port: int
    token: str | None = None


def make_app(desk: Desk, learning: Learning, version: str, token: str | None = None) -> Starlette:
    """The application; it starts the captions in the background, and closes the desk."""

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        desk.start()
        yield
        learning.close()
        desk.close()

    return Starlette(
        routes=[
            *page_routes(desk),
            *out_routes(desk),
            *learning_routes(learning),
            *program_routes(desk.captioner, version),
        ],
        middleware=[Middleware(Guard, token=token)],
        exception_handlers=refuse_with_json(),
        lifespan=life,
    )


def refuse_with_json() -> dict[Any, Any]:
    """How refusals are answered: {"error": a sentence}, and the status that says whose fault."""
    return {HTTPException: _refused, CaptioningError: _mistaken}


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _mistaken(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 422)


def serve(desk: Desk, learning: Learning, version: str, address: Address) -> None:
    """Serve the desk until Ctrl-C or SIGTERM. Raises `CaptioningError` if the port is taken."""
    listening = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address.host, address.port))
        listening.listen(128)
    except OSError as error:
        raise CaptioningError(
            f"cannot serve at {address.host}, port {address.port} ({error.strerror}); name another "
            "one with --port"
        ) from None
    config = uvicorn.Config(
        make_app(desk, learning, version, address.token),
        log_level="warning",
        timeout_graceful_shutdown=3,
        server_header=False,
    )
    # Its default ends the process at once; as Ctrl-C it lets the desk be closed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"open {page_address(address)} (Ctrl-C ends it)", flush=True)
    uvicorn.Server(config).run(sockets=[listening])


def page_address(address: Address) -> str:
    """Where the page is opened; of all this machine's addresses, by its name."""
    host = address.host
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    elif ":" in host:
        host = f"[{host}]"
    token = "" if address.token is None else "/?token=..."
    return f"http://{host}:{address.port}{token}"
