"""What reaches the server at all: known hosts and origins, requests of a bounded size that come in bounded time.

A web page must not reach a server on loopback: its Origin is refused, and so is a Host that is no name of this machine,
which is what DNS rebinding shows (gpt4all#3587). Cross-origin use is off unless origins are named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_ttp.server.replies import Refusal

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
MAX_BODY = 8 * 2**20
"""Longest body of a request, in bytes, where nothing else is said."""
MAX_IMPORT = 512 * 2**20
"""Longest body of an import."""
BODY_WAIT_S = 20.0
"""Longest pause between two parts of a request's body."""
BODY_TOTAL_S = 600.0
"""Longest time that a request's body may take in all."""
_IMPORT_PATH = "/ttp/v1/history/import"
_METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"


@dataclass(frozen=True)
class Doors:
    """Who is let in."""

    hosts: frozenset[str] = LOCAL_NAMES
    """Names that a Host header may hold, without the port."""
    origins: frozenset[str] = frozenset()
    """Origins of web pages that may ask; `*` for any. The server's own page needs none."""


class Guard:
    """ASGI middleware in front of everything."""

    def __init__(self, app: ASGIApp, doors: Doors) -> None:
        self._app, self._doors = app, doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request through, answers a preflight, or refuses."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not _is_one_of(host, self._doors.hosts):
            what = f"the host {host[:100]!r} is not served"
            await _refuse(scope, send, Refusal(403, "host_not_allowed", what, "start the server with --allow-host"))
            return
        if origin is None and headers.get("sec-fetch-site") == "cross-site" and not _leads_here(scope, headers):
            # A form or an image of another page: it sends no Origin.
            await _refuse(scope, send, _foreign("another site"))
            return
        if origin is not None and not self._from_here(origin, host):
            if not ({"*", origin} & self._doors.origins):
                await _refuse(scope, send, _foreign(origin))
                return
            send = _with_cross_origin(send, origin, headers)
            if scope["method"] == "OPTIONS":
                await send({"type": "http.response.start", "status": 204, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
        most = MAX_IMPORT if scope["path"] == _IMPORT_PATH else MAX_BODY
        length = headers.get("content-length", "")
        if length.isdecimal() and (len(length) > 18 or int(length) > most):
            await _refuse(scope, send, _too_large(most))
            return
        await self._bounded(scope, receive, send, most)

    def _from_here(self, origin: str, host: str) -> bool:
        """Whether the page came from this server itself."""
        return origin in (f"http://{host}", f"https://{host}")

    async def _bounded(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        """The application, with a body that ends after `most` bytes or when its sender is too slow."""
        begun = False
        seen = 0
        ended = False
        clock = asyncio.get_running_loop().time
        began = clock()

        async def bounded() -> Message:
            nonlocal seen, ended
            if ended:
                return await receive()  # nothing but the disconnect comes after the body
            try:
                async with asyncio.timeout(max(0.0, min(BODY_WAIT_S, began + BODY_TOTAL_S - clock()))):
                    message = await receive()
            except TimeoutError:
                raise RefusedBody(
                    Refusal(408, "too_slow", "the request came too slowly", "send it in one piece")
                ) from None
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                ended = not message.get("more_body", False)
                if seen > most:
                    raise RefusedBody(_too_large(most))
            return message

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, bounded, watched)
        except RefusedBody as refused:
            if not begun:
                await _refuse(scope, send, refused.refusal)


class RefusedBody(Exception):
    """A body that is not read to its end. Whatever stands between may answer it with its refusal."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.fact)


def _foreign(origin: str) -> Refusal:
    fact = f"pages of {origin[:100]!r} are not served"
    return Refusal(403, "origin_not_allowed", fact, "start the server with --allow-origin")


def _too_large(most: int) -> Refusal:
    return Refusal(413, "too_large", f"the request has more than {most:,} bytes", "send less")


async def _refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    await refusal.answer(scope["path"])(scope, nothing, send)


def _with_cross_origin(send: Send, origin: str, asked: Headers) -> Send:
    """`send`, with the headers that let a page of `origin` read the answer."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["access-control-allow-origin"] = origin
            headers.append("vary", "Origin")
            headers["access-control-expose-headers"] = "x-edge-ttp-ignored, x-request-id"
            wanted = asked.get("access-control-request-headers")
            if wanted:
                headers["access-control-allow-headers"] = wanted
            if "access-control-request-method" in asked:
                headers["access-control-allow-methods"] = _METHODS
                headers["access-control-max-age"] = "600"
            if asked.get("access-control-request-private-network") == "true":
                headers["access-control-allow-private-network"] = "true"
        await send(message)

    return sending


def _leads_here(scope: Scope, headers: Headers) -> bool:
    """Whether somebody followed a link to the page, which nothing but the page itself can read: no frame, no script."""
    return (
        scope["method"] == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
        and scope["path"] in ("/", "/compose.html")
    )


def _is_one_of(host: str, names: Iterable[str]) -> bool:
    """Whether the Host header names one of `names`, whatever the port."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").lower().rstrip(".")
    except ValueError:
        return False
    return "*" in names or name in names


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches `address`."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
