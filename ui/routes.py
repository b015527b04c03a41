"""The addresses beside the app: published pages with their files, numbers links, and the style and script they share."""

from __future__ import annotations

import gzip
import json
import mimetypes
import re
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs

from gradio.route_utils import get_root_url
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dialogues.dialogue import Problem
from sharing.card import card_png
from sharing.download import csv_file, html_file, model_card
from sharing.link import read_token
from sharing.page import HEADERS, View, numbers_page, published_page, refusal_page
from sharing.snapshot import GONE, LinkRefused, Published
from ui.settings import Settings

SHARED = ("proofsheet.css", "page.css", "page.js")
PLOTLY = "plotly.min.js"
READS = RateLimitItemPerMinute(120)  # addresses under /c/ and /n/ that one client may read
TOO_MANY = Problem("Too many pages were asked for in a minute.", "Wait a minute and try again.")
Answer = Callable[[Settings, Request], Response]


def routes(settings: Settings) -> list[Route]:
    """`/c/<id>`: a published comparison; `/c/<id>/<file>`: it as a file; `/n/<token>`: figures that the address holds.

    `/proof/<file>`: what these pages load, and nothing else.
    """
    limiter = FixedWindowRateLimiter(MemoryStorage())

    def limited(answer: Answer) -> Callable[[Request], Response]:
        def read(request: Request) -> Response:
            if not limiter.hit(READS, request.client.host if request.client else ""):
                return HTMLResponse(refusal_page(TOO_MANY), 429, headers={**HEADERS, "Retry-After": "60"})
            try:
                return answer(settings, request)
            except LinkRefused as refusal:
                return HTMLResponse(refusal_page(refusal.problems[0]), 404, headers=HEADERS)

        return read

    async def shared(request: Request) -> Response:
        return await run_in_threadpool(_shared, settings, request.path_params["name"])

    return [
        Route("/c/{id}", limited(_page)),
        Route("/c/{id}/{file}", limited(_file)),
        Route("/n/{token}", limited(_numbers)),
        Route("/proof/{name}", shared),
    ]


def middleware() -> list[Middleware]:
    return [Middleware(ComparisonAddress)]


class ComparisonAddress:
    """Leads `/?compare=<id>` to `/c/<id>` and `/?numbers=<token>` to `/n/<token>`.

    Inside a Space's frame only the query reaches us, never the path. The way is told relative to the address that was
    asked for, so that it holds under any prefix that a proxy or a mount puts before it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (_way(scope) or self.app)(scope, receive, send)


def _way(scope: Scope) -> Response | None:
    """The answer that leads on, where the app's own address was asked with `compare` or `numbers` in its query."""
    if scope["type"] != "http" or scope["path"].removeprefix(scope.get("root_path", "")) not in ("", "/"):
        return None
    asked = parse_qs(scope["query_string"].decode("latin-1"))
    for name, page in (("compare", "c"), ("numbers", "n")):
        if name in asked:
            there = re.sub(r"[^A-Za-z0-9._-]", "", asked[name][0]).lstrip(".") or "-"
            return Response(status_code=307, headers={"Location": f"./{page}/{there}", "Cache-Control": "no-store"})
    return None


def _page(settings: Settings, request: Request) -> Response:
    snapshot_id, query = request.path_params["id"], dict(request.query_params)
    published = settings.snapshots.open(snapshot_id)
    origin = get_root_url(request, request.url.path, getattr(request.app, "root_path", ""))
    return HTMLResponse(published_page(published, snapshot_id, query, origin), headers=HEADERS)


def _numbers(settings: Settings, request: Request) -> Response:
    link = read_token(request.path_params["token"], settings.signing_key)
    return HTMLResponse(numbers_page(link, dict(request.query_params)), headers=HEADERS)


def _file(settings: Settings, request: Request) -> Response:
    """A published comparison as a file; a name that is none of ours answers like a link that leads nowhere."""
    name, published = request.path_params["file"], settings.snapshots.open(request.path_params["id"])
    step = View.asked(published.comparison, dict(request.query_params)).step
    made = _made(settings, published, name, step)
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    kept = "inline" if name == "card.png" else f'attachment; filename="tuneproof-{name}"'
    return Response(made, media_type=kind, headers={**HEADERS, "Content-Disposition": kept})


def _made(settings: Settings, published: Published, name: str, step: int) -> bytes | str:
    if name == "report.html":
        style = (settings.assets / "proofsheet.css", settings.assets / "page.css")
        return html_file(published, step, "".join(path.read_text(encoding="utf-8") for path in style))
    if name == "scores.csv" and published.comparison.rows:
        return csv_file(published.comparison)
    if name == "comparison.json":
        return json.dumps(published.to_json(), ensure_ascii=False, indent=1)
    if name == "model-card.md":
        return model_card(published.comparison, step)
    if name == "card.png":
        return card_png(published.comparison, *_fonts())
    raise LinkRefused(GONE)


def _fonts() -> tuple[Path, Path]:
    """The font of the app's own screens, regular and bold, from where gradio keeps it."""
    spec = find_spec("gradio")
    folder = Path(str(spec and spec.origin)).parent / "templates/frontend/static/fonts/IBMPlexSans"
    return folder / "IBMPlexSans-Regular.woff2", folder / "IBMPlexSans-Bold.woff2"


def _shared(settings: Settings, name: str) -> Response:
    if name not in (*SHARED, PLOTLY):
        return Response("Not found.", 404)
    path = _plotly() if name == PLOTLY else settings.assets / name
    kept = "public, max-age=86400" if name == PLOTLY else "no-cache"
    headers = {"Content-Encoding": "gzip", "Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
    return Response(_gzipped(path, path.stat().st_mtime_ns), media_type=mimetypes.guess_type(name)[0], headers=headers)


def _plotly() -> Path:
    spec = find_spec("plotly")
    return Path(str(spec and spec.origin)).parent / "package_data" / PLOTLY


@lru_cache(maxsize=8)
def _gzipped(path: Path, changed: int) -> bytes:
    """The file, compressed once for each time it has changed (`changed` in nanoseconds)."""
    return gzip.compress(path.read_bytes(), 6)
