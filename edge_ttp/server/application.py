"""The ASGI application: every endpoint, the page, the description, behind the guard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from edge_ttp.server import (
    native_answers,
    native_history,
    native_imports,
    native_learning,
    native_memory,
    native_models,
    native_privacy,
    native_rewriting,
    native_setup,
    ollama_routes,
    openai_routes,
)
from edge_ttp.server.endpoints import Endpoint, Exchange, routes_of
from edge_ttp.server.guard import Doors, Guard, RefusedBody
from edge_ttp.server.openapi import description
from edge_ttp.server.replies import Refusal
from edge_ttp.server.state import State
from edge_ttp.server.unforeseen import FaultsEndHere, fault

_PAGE = {
    "": ("index.html", "text/html; charset=utf-8"),
    "compose.html": ("compose.html", "text/html; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "protocol.js": ("protocol.js", "text/javascript; charset=utf-8"),
    "start.js": ("start.js", "text/javascript; charset=utf-8"),
    "privacy.js": ("privacy.js", "text/javascript; charset=utf-8"),
    "compose.js": ("compose.js", "text/javascript; charset=utf-8"),
    "words-window.js": ("words-window.js", "text/javascript; charset=utf-8"),
    "window.css": ("window.css", "text/css; charset=utf-8"),
    "words.js": ("words.js", "text/javascript; charset=utf-8"),
    "style.css": ("style.css", "text/css; charset=utf-8"),
}
_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


async def health(call: Exchange) -> Response:
    """Whether requests can be answered now."""
    if call.state.loading:
        body = {"status": "loading", "instance": call.state.instance}
        return JSONResponse(body, status_code=503, headers={"retry-after": "1"})
    return JSONResponse({"status": "ok", "instance": call.state.instance})


async def openapi(call: Exchange) -> dict[str, Any]:
    """The OpenAPI description."""
    return description(ENDPOINTS)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/health", "200 when requests can be answered, 503 while a model loads.", health, token=False),
    Endpoint("GET", "/ttp/v1/openapi.json", "This description.", openapi, token=False),
    *openai_routes.ENDPOINTS,
    *ollama_routes.ENDPOINTS,
    *native_answers.ENDPOINTS,
    *native_rewriting.ENDPOINTS,
    *native_history.ENDPOINTS,
    *native_imports.ENDPOINTS,
    *native_learning.ENDPOINTS,
    *native_models.ENDPOINTS,
    *native_memory.ENDPOINTS,
    *native_setup.ENDPOINTS,
    *native_privacy.ENDPOINTS,
)


def application(state: State, doors: Doors) -> Guard:
    """The application over `state`, with the guard in front."""

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        yield
        state.ending.set()

    routes: list[BaseRoute] = [*routes_of(ENDPOINTS)]
    routes += [Route(f"/{name}", _page(name), methods=["GET"]) for name in _PAGE]
    handlers: Any = {HTTPException: _no_route, RefusedBody: _refused_body, Exception: _unexpected}
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=life)
    app.state.edge_ttp = state
    return Guard(FaultsEndHere(app), doors)


def _page(name: str) -> Any:
    file, media = _PAGE[name]

    async def serve(_: Request) -> Response:
        data = files("edge_ttp.server").joinpath("page", file).read_bytes()
        return Response(data, media_type=media, headers=_PAGE_HEADERS)

    return serve


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    code = "method_not_allowed" if error.status_code == 405 else "not_found"
    fact = f"{request.method} {path[:100]} is not served"
    return Refusal(error.status_code, code, fact, "see /ttp/v1/openapi.json", 8).answer(path)


async def _refused_body(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedBody)
    return error.refusal.answer(request.url.path)


async def _unexpected(request: Request, error: Exception) -> Response:
    """A fault of ours: named by a number that the log has too; neither traceback nor text goes out."""
    return fault(error, request.scope).answer(request.url.path)
