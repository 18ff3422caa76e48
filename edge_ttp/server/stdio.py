"""JSON-RPC 2.0 on stdin and stdout, a message a line: for apps that may not open a port.

    {"jsonrpc": "2.0", "id": 1, "method": "POST /ttp/v1/generate", "params": {"body": {"prompt": "Lunch?"}}}

A method is an endpoint of the HTTP description, so that both speak of the same things. `params` may hold `path` (what
stands in braces in the path), `query` and `body`. The events of a stream come as notifications `event` with the
request's id before its result; the notification `cancel` with an id ends that request. The end of stdin ends all.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

from starlette.types import ASGIApp, Message

from edge_ttp.errors import InvalidInput
from edge_ttp.server.application import ENDPOINTS, application
from edge_ttp.server.guard import MAX_BODY, Doors
from edge_ttp.server.serving import load
from edge_ttp.server.state import State
from edge_ttp.server.wanted import parse_json

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, SERVER_ERROR = -32700, -32600, -32601, -32602, -32000
"""Codes of JSON-RPC 2.0; an error of the runtime is SERVER_ERROR and says the rest in `data`."""

METHODS = {f"{one.method} {one.path}": one for one in ENDPOINTS}

Write = Callable[[dict[str, Any]], None]


async def converse(state: State) -> None:
    """Answers until stdin ends or SIGTERM comes; what is under way is cancelled then."""
    state.owner_socket = True
    lines: asyncio.Queue[bytes | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    guard = threading.Lock()

    def read() -> None:
        with suppress(OSError, ValueError):
            rest = bytearray()
            while data := os.read(sys.stdin.fileno(), 65536):  # no buffer: its lock would be held at the end
                *whole, last = data.split(b"\n")
                for line in whole:
                    loop.call_soon_threadsafe(lines.put_nowait, bytes(rest) + line)
                    rest.clear()
                if len(rest) <= MAX_BODY:  # of a longer line the rest is not kept: it is refused when it ends
                    rest += last
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(lines.put_nowait, None)

    def write(answer: dict[str, Any]) -> None:
        with guard:
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()

    threading.Thread(target=read, daemon=True, name="edge-ttp-stdin").start()
    loading = asyncio.ensure_future(load(state))
    await StdioConversation(application(state, Doors(hosts=frozenset({"*"}))), write).follow(lines, state.ending)
    loading.cancel()
    await asyncio.gather(loading, return_exceptions=True)


class StdioConversation:
    """The requests of one client."""

    def __init__(self, app: ASGIApp, write: Write) -> None:
        self._app, self._write = app, write
        self._running: dict[Any, asyncio.Task[None]] = {}

    async def follow(self, lines: asyncio.Queue[bytes | None], ending: asyncio.Event) -> None:
        """Answers the lines as they come, side by side, until None comes or `ending` is set."""
        over = asyncio.ensure_future(ending.wait())
        while True:
            following = asyncio.ensure_future(lines.get())
            await asyncio.wait({over, following}, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                following.cancel()
                break
            line = following.result()
            if line is None:
                break
            self.take(line)
        over.cancel()
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def take(self, line: bytes) -> None:
        """Begins what one line asks for."""
        number: Any = None
        try:
            if len(line) > MAX_BODY:
                raise InvalidInput(f"a message has more than {MAX_BODY:,} bytes", "send less")
            asked = parse_json(line)
        except InvalidInput as wrong:
            self._fail(None, PARSE_ERROR, wrong.fact)
            return
        if not isinstance(asked, dict) or not isinstance(asked.get("method"), str):
            self._fail(None, INVALID_REQUEST, "the message is no request")
            return
        number, method, params = asked.get("id"), asked["method"], asked.get("params", {})
        if method == "cancel":
            wanted = params.get("id") if isinstance(params, dict) else None
            task = self._running.get(wanted) if isinstance(wanted, str | int) else None
            if task is not None:
                task.cancel()
            return
        if not isinstance(number, str | int) or isinstance(number, bool) or number in self._running:
            self._fail(None, INVALID_REQUEST, "a request needs an id of its own")
        elif method not in METHODS:
            self._fail(number, METHOD_NOT_FOUND, f"there is no method {method[:100]!r}: see GET /ttp/v1/openapi.json")
        elif not isinstance(params, dict):
            self._fail(number, INVALID_PARAMS, "params is no object")
        else:
            self._running[number] = asyncio.ensure_future(self._answer(number, method, params))

    async def _answer(self, number: Any, method: str, params: dict[str, Any]) -> None:
        try:
            await self._ask(number, method, params)
        except asyncio.CancelledError:
            self._fail(number, SERVER_ERROR, "cancelled", {"code": "cancelled", "exit_code": 130})
        except UnicodeEncodeError:
            self._fail(number, INVALID_PARAMS, "params hold characters that are none (lone surrogates)")
        finally:
            self._running.pop(number, None)

    async def _ask(self, number: Any, method: str, params: dict[str, Any]) -> None:
        """Passes the request to the application as HTTP would, and its answer back."""
        endpoint = METHODS[method]
        path = endpoint.path
        places = params.get("path") if isinstance(params.get("path"), dict) else {}
        for name, value in (places or {}).items():
            path = path.replace(f"{{{name}}}", quote(str(value), safe="")).replace(
                f"{{{name}:path}}", quote(str(value), safe="/")
            )
        query = params.get("query")
        body = json.dumps(params["body"]).encode() if "body" in params else b""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": endpoint.method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": urlencode(query).encode() if isinstance(query, dict) else b"",
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        }
        sent = False
        left = asyncio.Event()
        status, stream, pieces = 200, False, bytearray()

        async def receive() -> Message:
            nonlocal sent
            if sent:
                await left.wait()
                return {"type": "http.disconnect"}
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(part: Message) -> None:
            nonlocal status, stream
            if part["type"] == "http.response.start":
                status = part["status"]
                kinds = [value for name, value in part["headers"] if name == b"content-type"]
                stream = any(kind.startswith(b"text/event-stream") for kind in kinds)
            elif part["type"] == "http.response.body":
                pieces.extend(part.get("body", b""))
                while stream and (end := pieces.find(b"\n\n")) >= 0:
                    self._event(number, bytes(pieces[:end]))
                    del pieces[: end + 2]

        await self._app(scope, receive, send)
        if stream:
            self._write({"jsonrpc": "2.0", "id": number, "result": None})
            return
        text = pieces.decode("utf-8", "replace")
        result: Any = text
        with suppress(ValueError):
            result = json.loads(text)
        if status < 400:
            self._write({"jsonrpc": "2.0", "id": number, "result": result})
            return
        error = result.get("error", {}) if isinstance(result, dict) else {}
        self._fail(number, SERVER_ERROR, str(error.get("message", text)), {**error, "status": status})

    def _event(self, number: Any, block: bytes) -> None:
        """One server-sent message as a notification; comments are left out."""
        for line in block.decode("utf-8", "replace").split("\n"):
            if line.startswith("data: ") and line != "data: [DONE]":
                data = json.loads(line[len("data: ") :])
                self._write({"jsonrpc": "2.0", "method": "event", "params": {"id": number, "event": data}})

    def _fail(self, number: Any, code: int, what: str, data: dict[str, Any] | None = None) -> None:
        error: dict[str, Any] = {"code": code, "message": what}
        if data is not None:
            error["data"] = data
        self._write({"jsonrpc": "2.0", "id": number, "error": error})
