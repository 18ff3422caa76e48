"""Long work beside the event loop, told as events: progress, then what was done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from threading import Event as Flag
from typing import Any

from starlette.concurrency import run_in_threadpool

from edge_ttp.errors import EdgeTTPError
from edge_ttp.server.replies import refusal_of
from edge_ttp.server.sse import message

Tell = Callable[[dict[str, Any]], None]
"""Called from the working thread with the fields of a `progress` event."""


async def followed(path: str, work: Callable[[Tell, Flag], dict[str, Any]], ended: str) -> AsyncIterator[bytes]:
    """The events of `work`, the last one called `ended` with what it returned.

    The flag that it is given is set when the reader has gone.
    """
    loop, cancel = asyncio.get_running_loop(), Flag()
    news: asyncio.Queue[bytes | None] = asyncio.Queue()

    def tell(fields: dict[str, Any]) -> None:
        loop.call_soon_threadsafe(news.put_nowait, message({"type": "progress", **fields}, "progress"))

    working = asyncio.ensure_future(run_in_threadpool(work, tell, cancel))
    working.add_done_callback(lambda _: news.put_nowait(None))
    try:
        while (line := await news.get()) is not None:
            yield line
        yield message({"type": ended, **await working}, ended)
    except EdgeTTPError as error:
        yield message(refusal_of(error).body(path), "error")
    finally:
        cancel.set()
