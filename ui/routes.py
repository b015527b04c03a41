"""The addresses beside the app: published pages, and the style and script they share with it."""

from __future__ import annotations

import gzip
import mimetypes
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sharing.page import HEADERS, page_html, refusal_page
from sharing.snapshot import LinkRefused
from ui.settings import Settings

SHARED = ("proofsheet.css", "page.css", "page.js")
PLOTLY = "plotly.min.js"


def routes(settings: Settings) -> list[Route]:
    """`/c/<id>`: a published comparison. `/proof/<file>`: what a page loads, and nothing else."""

    async def published(request: Request) -> Response:
        return await run_in_threadpool(_published, settings, request.path_params["id"], dict(request.query_params))

    async def shared(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in (*SHARED, PLOTLY):
            return Response("Not found.", 404)
        path = _plotly() if name == PLOTLY else settings.assets / name
        body = await run_in_threadpool(_gzipped, path, path.stat().st_mtime_ns)
        kept = "public, max-age=86400" if name == PLOTLY else "no-cache"
        kind = mimetypes.guess_type(name)[0]
        return Response(body, media_type=kind, headers={"Content-Encoding": "gzip", "Cache-Control": kept})

    return [Route("/c/{id}", published), Route("/proof/{name}", shared)]


def middleware() -> list[Middleware]:
    return [Middleware(ComparisonAddress)]


class ComparisonAddress:
    """Leads `/?compare=<id>` to `/c/<id>`: inside a Space's frame only the query reaches us, never the path."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["type"] == "http" and scope["path"] == "/" and parse_qs(scope["query_string"].decode("latin-1"))
        if asked and "compare" in asked:
            snapshot_id = "".join(character for character in asked["compare"][0] if character.isalnum())
            await RedirectResponse(f"{scope.get('root_path', '')}/c/{snapshot_id or '-'}")(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _published(settings: Settings, snapshot_id: str, query: dict[str, str]) -> Response:
    try:
        return HTMLResponse(page_html(settings.snapshots.fetch(snapshot_id), query), headers=HEADERS)
    except LinkRefused as refusal:
        return HTMLResponse(refusal_page(refusal.problems[0]), 404, headers=HEADERS)


def _plotly() -> Path:
    import plotly

    return Path(plotly.__file__).parent / "package_data" / PLOTLY


@lru_cache(maxsize=8)
def _gzipped(path: Path, changed: int) -> bytes:
    """The file, compressed once for each time it has changed (`changed` in nanoseconds)."""
    return gzip.compress(path.read_bytes(), 6)
