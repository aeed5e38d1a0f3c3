"""For programs: captions of the photos in a request, and the description of that by OpenAPI.

https://spec.openapis.org/oas/v3.1.0
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from captioning.app.photos import MAX_BYTES, MAX_PIXELS
from captioning.app.routes import photos_in
from captioning.app.shared_captioner import SharedCaptioner
from captioning.inference.captioner import Caption
from captioning.output.row_formats import JsonLinesFormat
from captioning.vision.images import UnreadableImageError, open_image

PHOTOS_AT_ONCE = 32
"""In one request; a program sends another one for more."""

MOST_CAPTIONS = 20
"""The most captions of a photo that may be asked for."""

ENCODED_AT_ONCE = 4
"""Photos that are captioned before the next one who waits has a turn."""


def program_routes(captioner: SharedCaptioner, version: str) -> list[Route]:
    """POST /api/caption and GET /openapi.json; version: of this program."""

    async def caption(request: Request) -> Response:
        _know_parameters(request, "top")
        top = _number(request, "top", 1, MOST_CAPTIONS)
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise HTTPException(415, 'send the photos as multipart/form-data, in fields "photo"')
        photos = await photos_in(request, PHOTOS_AT_ONCE)
        if len(photos) > PHOTOS_AT_ONCE:
            raise HTTPException(422, f"{PHOTOS_AT_ONCE} photos are the most in one request")
        rows = await run_in_threadpool(caption_rows, captioner, photos, top)
        return JSONResponse(rows)

    async def description(request: Request) -> Response:
        return JSONResponse(openapi(version))

    return [
        Route("/api/caption", caption, methods=["POST"]),
        Route("/openapi.json", description, methods=["GET"]),
    ]


def _know_parameters(request: Request, *known: str) -> None:
    """Refuse a parameter that isn't known: "Top=5" would be answered as if nothing was asked."""
    if unknown := [name for name in request.query_params if name not in known]:
        raise HTTPException(422, f"there is no parameter {unknown[0][:40]!r}")


def _number(request: Request, name: str, least: int, most: int) -> int:
    given = request.query_params.getlist(name)
    text = given[0] if len(given) == 1 else "" if given else str(least)
    if not (text.isascii() and text.isdecimal() and len(text) < 5):
        raise HTTPException(422, f"{name} is no number")
    if not least <= int(text) <= most:
        raise HTTPException(422, f"{name} is not from {least} to {most}")
    return int(text)


def caption_rows(
    captioner: SharedCaptioner, photos: Sequence[tuple[str, bytes]], top: int
) -> list[dict[str, Any]]:
    """A row a photo as in JSONL, or {"image", "error"} for one that can't be read.

    photos: name and content; top: how many captions of each, all of them with more than 1.
    """
    rows_format = JsonLinesFormat(top)
    rows: list[dict[str, Any]] = []
    waiting: list[tuple[int, str, Any]] = []  # place, name, pixels
    for place, (name, content) in enumerate(photos):
        try:
            waiting.append((place, name, captioner.pixels(_opened(content))))
            rows.append({})
        except UnreadableImageError as error:
            rows.append({"image": name, "error": str(error)})
    for start in range(0, len(waiting), ENCODED_AT_ONCE):
        group = waiting[start : start + ENCODED_AT_ONCE]
        found = captioner.caption([pixels for *_, pixels in group], top)
        for (place, name, _), (best, familiar) in zip(group, found, strict=True):
            caption = Caption(Path(), *best[0], best=best, familiar=familiar)
            rows[place] = {**json.loads(rows_format.row_of(caption)), "image": name}
    return rows


def _opened(content: bytes) -> Any:
    if len(content) > MAX_BYTES:
        raise UnreadableImageError(f"more than {MAX_BYTES / 1e6:.0f} MB")
    # The opener reads files; this one has no name that others could see, and goes at once.
    with tempfile.NamedTemporaryFile(prefix="captioning-") as file:
        file.write(content)
        file.flush()
        return open_image(Path(file.name), MAX_PIXELS)


def openapi(version: str) -> dict[str, Any]:
    """The description of POST /api/caption as OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Captions for photos", "version": version},
        "paths": {"/api/caption": {"post": _operation()}},
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _row() -> dict[str, Any]:
    """The schema of a photo's row."""
    score = {"type": "number", "maximum": 0, "description": "mean log-probability a word"}
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["image"],
        "properties": {
            "image": {"type": "string", "description": "the file's name as it was sent"},
            "caption": text,
            "score": score,
            "familiar": {
                "type": ["number", "null"],
                "description": "how like the model's training photos it is, 0 to 1; null: unknown",
            },
            "captions": {
                "type": "array",
                "description": "with top above 1: the best captions, best first",
                "items": {"type": "object", "properties": {"caption": text, "score": score}},
            },
            "error": {"type": "string", "description": "why this photo can't be captioned"},
        },
    }


def _operation() -> dict[str, Any]:
    """What is sent, and what is answered."""
    rows = {"application/json": {"schema": {"type": "array", "items": _row()}}}
    sentence = {"error": {"type": "string"}}
    refusal = {"type": "object", "properties": sentence, "required": ["error"]}
    error = {"application/json": {"schema": refusal}}
    photo = {
        "type": "array",
        "minItems": 1,
        "maxItems": PHOTOS_AT_ONCE,
        "items": {"type": "string", "format": "binary"},
    }
    return {
        "operationId": "caption",
        "summary": f"Captions of 1 to {PHOTOS_AT_ONCE} photos, at most {MAX_BYTES:,} bytes each",
        "parameters": [
            {
                "name": "top",
                "in": "query",
                "description": "how many captions of each photo",
                "schema": {"type": "integer", "minimum": 1, "maximum": MOST_CAPTIONS, "default": 1},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["photo"],
                        "properties": {"photo": photo},
                        "additionalProperties": False,
                    }
                }
            },
        },
        "responses": {
            "200": {"description": "a row a photo, in their order", "content": rows},
            "400": {"description": "no photo in the request", "content": error},
            "401": {"description": "the token is missing or wrong"},
            "413": {"description": "too many bytes", "content": error},
            "415": {"description": "not multipart/form-data", "content": error},
            "422": {"description": "a wrong parameter, or too many photos", "content": error},
        },
        "security": [{}, {"token": []}],
    }
