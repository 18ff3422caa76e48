"""Long work beside the event loop: its progress and its end as events, a flag when the reader has gone."""

from __future__ import annotations

import threading
from threading import Event as Flag
from typing import Any

import pytest

from edge_ttp.errors import NotFound
from edge_ttp.server.sse import message
from edge_ttp.server.work import Tell, followed

pytestmark = pytest.mark.anyio


async def test_progress_comes_in_order_and_the_result_last() -> None:
    def work(tell: Tell, cancel: Flag) -> dict[str, Any]:
        assert threading.current_thread() is not threading.main_thread()
        for done in range(3):
            tell({"done": done})
        return {"added": 3}

    lines = [line async for line in followed("/ttp/v1/x", work, "imported")]
    assert lines == [
        *(message({"type": "progress", "done": done}, "progress") for done in range(3)),
        message({"type": "imported", "added": 3}, "imported"),
    ]


async def test_an_error_is_the_last_event_behind_the_progress_so_far() -> None:
    def work(tell: Tell, cancel: Flag) -> dict[str, Any]:
        tell({"done": 1})
        raise NotFound("no such thing", "look")

    *before, last = [line async for line in followed("/ttp/v1/x", work, "imported")]
    assert before == [message({"type": "progress", "done": 1}, "progress")]
    assert last.startswith(b"event: error\n")
    assert b"no such thing" in last


async def test_a_reader_who_goes_sets_the_flag() -> None:
    seen = Flag()

    def work(tell: Tell, cancel: Flag) -> dict[str, Any]:
        tell({"done": 1})
        assert cancel.wait(60)
        seen.set()
        return {}

    lines = followed("/ttp/v1/x", work, "imported")
    assert b"progress" in await anext(lines)
    await lines.aclose()  # type: ignore[attr-defined]
    assert seen.wait(60)
