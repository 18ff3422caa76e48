"""Server-sent events: messages, comments that keep a silent stream open, and an end when the client has gone.

Clients drop a stream that says nothing while candidates are drawn (llama.cpp#24013), so a comment goes out at least
every KEEP_ALIVE_S seconds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from edge_ttp.server.replies import Refusal, is_openai
from edge_ttp.server.unforeseen import fault

KEEP_ALIVE_S = 5.0
DONE = b"data: [DONE]\n\n"
STALLED_S = 60.0
"""How long a client may leave what was sent to it unread."""


def message(data: Any, event: str | None = None) -> bytes:
    """One message with JSON data, and a name where clients tell messages apart by it."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode("utf-8", "replace")


def comment(text: str = "") -> bytes:
    """A line that clients skip."""
    return f": {text}\n\n".encode()


class EventStream(StreamingResponse):
    """An answer of messages as they come. When the client goes, the source is closed within a moment."""

    media_type = "text/event-stream"
    comments = True
    """Whether a silent stream says comments."""

    def __init__(self, source: AsyncIterator[bytes], headers: Mapping[str, str] | None = None) -> None:
        quiet = {"cache-control": "no-store", "x-accel-buffering": "no", "connection": "keep-alive"}
        super().__init__(_kept_alive(source, comments=self.comments), headers={**quiet, **(headers or {})})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until the source ends, the client goes or does not read for STALLED_S seconds.

        A fault of the source is told as an error in the form of the path, and ends the answer.
        """

        async def patient(message: Any) -> None:
            async with asyncio.timeout(STALLED_S):
                await send(message)

        sending = asyncio.ensure_future(self.stream_response(patient))
        leaving = asyncio.ensure_future(gone(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            for task in (sending, leaving):
                with suppress(asyncio.CancelledError, OSError, TimeoutError):
                    await self._over(task, scope, patient)

    async def _over(self, task: asyncio.Future[None], scope: Scope, send: Send) -> None:
        """Waits for the task; tells a defect of ours, and ends the answer with it."""
        try:
            await task
        except (OSError, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the client waits for an end
            last = self.last(fault(error, scope), scope["path"])
            await send({"type": "http.response.body", "body": last, "more_body": False})

    def last(self, refusal: Refusal, path: str) -> bytes:
        """A refusal as the last message, in the form of the path's clients."""
        return message(refusal.body(path), None if is_openai(path) else "error")


async def gone(receive: Receive) -> None:
    """Returns when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _kept_alive(source: AsyncIterator[bytes], *, comments: bool) -> AsyncIterator[bytes]:
    """What `source` gives, with comments (or empty lines) where it is silent for KEEP_ALIVE_S seconds."""
    following: asyncio.Future[bytes] | None = None
    try:
        while True:
            following = asyncio.ensure_future(anext(source))
            while not (await asyncio.wait({following}, timeout=KEEP_ALIVE_S))[0]:
                yield comment("working") if comments else b"\n"
            try:
                yield following.result()
            except StopAsyncIteration:
                return
    finally:
        if following is not None and not following.done():
            following.cancel()
            with suppress(BaseException):
                await following
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()
