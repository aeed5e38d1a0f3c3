"""The addresses of downloads, of files beside the photos, and of what the page says of itself."""

import tempfile
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from captioning.app.desk import Desk
from captioning.app.learning import Learning
from captioning.app.out import (
    FILES,
    INTO,
    TABLES,
    about_out,
    can_embed,
    table,
    write_archive,
    write_beside,
)
from captioning.app.routes import json_body
from captioning.inference.models import samples_folder

MEDIA = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}


def learning_routes(learning: Learning) -> list[Route]:
    """How the training on corrections goes (GET), and what is to be done with it (POST)."""

    async def about(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(learning.about))

    async def do(request: Request) -> Response:
        deeds = {"start": learning.start, "keep": learning.keep, "discard": learning.discard}
        deed = deeds.get(str((await json_body(request)).get("do")))
        if deed is None:
            raise HTTPException(400, f"do is one of {', '.join(deeds)}")
        await run_in_threadpool(deed)
        return await about(request)

    return [
        Route("/desk/learning", about, methods=["GET"]),
        Route("/desk/learning", do, methods=["POST"]),
    ]


def out_routes(desk: Desk) -> list[Route | Mount]:
    """Downloads (GET), files beside the photos (POST), the samples, and what the desk is."""

    async def about(request: Request) -> Response:
        samples = sorted(path.name for path in samples_folder().glob("*.jpg"))
        folder = desk.folders.folder
        return JSONResponse(
            {
                "title": "Dropped photos" if folder is None else folder.resolve().name,
                "model": desk.captioner.name,
                "project": str(desk.settings.project.resolve()),
                "samples": samples,
                **about_out(desk),
            }
        )

    async def download(request: Request) -> Response:
        kind, which = (
            _kind(request, *TABLES, *FILES),
            _which(request.query_params.get("which", "all")),
        )
        if kind in TABLES:
            text = await run_in_threadpool(table, desk, kind, which)
            # With a byte order mark: without it Excel doesn't read the table as UTF-8.
            content = text.encode("utf-8-sig" if kind == "csv" else "utf-8", "replace")
            return Response(content, media_type=MEDIA[kind], headers=_named(f"captions.{kind}"))
        folder = tempfile.TemporaryDirectory(prefix="captioning-")  # readable by this user alone
        path = Path(folder.name) / "captions.zip"
        try:
            await run_in_threadpool(write_archive, desk, kind, which, path)
        except BaseException:
            folder.cleanup()
            raise
        return FileResponse(
            path, headers=_named(f"{kind}.zip"), background=BackgroundTask(folder.cleanup)
        )

    async def write(request: Request) -> Response:
        kind, body = _kind(request, *FILES, INTO), await json_body(request)
        which = _which(body.get("which"))
        replace = body.get("replace") is True
        return JSONResponse(await run_in_threadpool(write_beside, desk, kind, which, replace))

    return [
        Route("/desk/about", about),
        Route("/desk/out/{kind}", download, methods=["GET"]),
        Route("/desk/out/{kind}", write, methods=["POST"]),
        Mount("/samples", StaticFiles(directory=samples_folder())),
    ]


def _kind(request: Request, *kinds: str) -> str:
    kind = request.path_params["kind"]
    if kind not in kinds or (kind in ("copies", INTO) and not can_embed()):
        raise HTTPException(404, f"nothing is written as {kind[:20]!r}")
    return kind


def _which(given: object) -> str:
    if given not in ("approved", "all"):
        raise HTTPException(400, 'which is "approved" or "all"')
    return str(given)


def _named(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"'}
