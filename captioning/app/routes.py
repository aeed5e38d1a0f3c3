"""The addresses of the desk's page: JSON in, JSON out; `Desk` does the work in threads."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from captioning.app.decisions import Change
from captioning.app.desk import Desk
from captioning.app.photos import AT_ONCE, MAX_BYTES

PAGE = Path(__file__).with_name("page")

A_YEAR = "private, max-age=31536000, immutable"
"""How long a browser may keep a picture whose address names the photo by its content. Without that
another folder's photo, opened another day, or a changed one would have the same address."""

Endpoint = Callable[[Request], Awaitable[Response]]


def page_routes(desk: Desk) -> list[BaseRoute]:
    """The page and what it asks for."""
    return [
        Route("/", _index),
        Mount("/page", StaticFiles(directory=PAGE)),
        Route("/desk/changes", _changes(desk)),
        Route("/desk/look", _look(desk), methods=["POST"]),
        Route("/desk/undo", _undo(desk), methods=["POST"]),
        Route("/desk/photos", _drop(desk), methods=["POST"]),
        Route("/desk/photos/{number:int}", _details(desk), methods=["GET"]),
        Route("/desk/photos/{number:int}", _decide(desk), methods=["POST"]),
        Route("/desk/photos/{number:int}", _remove(desk), methods=["DELETE"]),
        Route("/desk/photos/{number:int}/words", _of_caption(desk.words, "caption")),
        Route("/desk/photos/{number:int}/continuations", _of_caption(desk.go_on, "prefix")),
        Route("/desk/photos/{number:int}/picture/{size}", _picture(desk)),
    ]


async def _index(request: Request) -> Response:
    return FileResponse(PAGE / "index.html", headers={"cache-control": "no-cache"})


def _changes(desk: Desk) -> Endpoint:
    async def changes(request: Request) -> Response:
        since = request.query_params.get("since", "-1")
        if not since.removeprefix("-").isdecimal() or len(since) > 15:
            raise HTTPException(400, "since is no number")
        return JSONResponse(await run_in_threadpool(desk.changes, int(since)))

    return changes


def _look(desk: Desk) -> Endpoint:
    async def look(request: Request) -> Response:
        numbers = (await json_body(request)).get("numbers")
        if not isinstance(numbers, list) or not all(type(n) is int for n in numbers):
            raise HTTPException(400, "numbers is no list of numbers")
        desk.background.look(numbers[:AT_ONCE])
        return JSONResponse({})

    return look


def _details(desk: Desk) -> Endpoint:
    async def details(request: Request) -> Response:
        found = await run_in_threadpool(desk.details, request.path_params["number"])
        return JSONResponse(_there(found))

    return details


def _decide(desk: Desk) -> Endpoint:
    async def decide(request: Request) -> Response:
        body = await json_body(request)
        change = Change(
            _field(body, "state", str),
            _field(body, "caption", str),
            _field(body, "revision", int),
            _field(body, "client", str)[:64],
            _field(body, "person", str),
        )
        number = request.path_params["number"]
        return JSONResponse(_there(await run_in_threadpool(desk.decide, number, change)))

    return decide


def _undo(desk: Desk) -> Endpoint:
    async def undo(request: Request) -> Response:
        client = _field(await json_body(request), "client", str)[:64]
        row, sentence = await run_in_threadpool(desk.undo, client)
        return JSONResponse({"row": row, "sentence": sentence})

    return undo


def _remove(desk: Desk) -> Endpoint:
    async def remove(request: Request) -> Response:
        _there(await run_in_threadpool(desk.remove, request.path_params["number"]) or None)
        return JSONResponse({})

    return remove


def _of_caption(answer: Callable[[int, str], Any], parameter: str) -> Endpoint:
    """Asks the desk something of a photo and of words that the query names `parameter`."""

    async def asked(request: Request) -> Response:
        words = request.query_params.get(parameter, "")
        found = await run_in_threadpool(answer, request.path_params["number"], words)
        return JSONResponse(_there(found))

    return asked


def _picture(desk: Desk) -> Endpoint:
    async def picture(request: Request) -> Response:
        number, size = request.path_params["number"], request.path_params["size"]
        if size not in ("small", "large"):
            raise HTTPException(404, "a picture is small or large")
        content, photo = _there(await run_in_threadpool(desk.picture, number, size))
        keep = A_YEAR if request.query_params.get("of") == photo else "no-store"
        return Response(content, media_type="image/jpeg", headers={"cache-control": keep})

    return picture


def _drop(desk: Desk) -> Endpoint:
    async def drop(request: Request) -> Response:
        numbers, refused = await run_in_threadpool(desk.drop, await photos_in(request))
        return JSONResponse({"numbers": numbers, "refused": refused})

    return drop


async def photos_in(request: Request, most: int = AT_ONCE) -> list[tuple[str, bytes]]:
    """Names and contents of the photos in a form's field "photo"; 400 for anything else."""
    try:
        form = await request.form(max_files=most + 1, max_fields=1, max_part_size=1000)
    except (MultiPartException, HTTPException, ValueError) as error:
        raise HTTPException(400, "the photos can't be read: " + _reason(error)) from None
    files = []
    try:
        if unknown := [name for name in form if name != "photo"]:
            raise HTTPException(400, f"the form has an unknown field {unknown[0][:40]!r}")
        for part in form.getlist("photo"):
            if isinstance(part, str):
                raise HTTPException(400, 'the field "photo" is no file')
            # One byte more than is allowed shows that it is too large.
            files.append((part.filename or "photo", await part.read(MAX_BYTES + 1)))
    finally:
        await form.close()
    if not files:
        raise HTTPException(400, 'there is no photo in the form\'s field "photo"')
    return files


def _reason(error: Exception) -> str:
    return str(getattr(error, "detail", "") or getattr(error, "message", "") or error)


async def json_body(request: Request) -> dict[str, Any]:
    """The request's JSON object; 400 for anything else."""
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise HTTPException(400, "the request is no JSON") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "the request is no JSON object")
    return body


def _field(body: dict[str, Any], name: str, kind: type) -> Any:
    value: Any = body.get(name)
    if type(value) is not kind or (isinstance(value, str) and _has_surrogates(value)):
        raise HTTPException(400, f"{name} is missing or of a wrong type")
    return value


def _has_surrogates(text: str) -> bool:
    """JSON's escapes can name halves of characters, which no file can hold."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def _there(found: Any) -> Any:
    if found is None:
        raise HTTPException(404, "that photo is no longer here")
    return found
