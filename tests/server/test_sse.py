"""Server-sent events: messages byte for byte, comments where nothing is said, an end when the client goes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from edge_ttp.server import sse
from edge_ttp.server.sse import EventStream, comment, message

pytestmark = pytest.mark.anyio


def test_a_message_is_one_line_of_json_with_a_name_where_it_has_one() -> None:
    assert message({"a": "ü\n"}) == 'data: {"a": "ü\\n"}\n\n'.encode()
    assert message([1], "done") == b"event: done\ndata: [1]\n\n"
    assert message("\ud800") == b'data: "?"\n\n'  # what is no text does not end the stream
    assert comment("12 tokens") == b": 12 tokens\n\n"


async def sent(stream: EventStream, *, leaves_after: float | None = None, path: str = "/ttp/v1/generate") -> list[Any]:
    """What a server would send; the client goes after so many seconds."""
    messages: list[Any] = []

    async def receive() -> dict[str, str]:
        await (asyncio.sleep(leaves_after) if leaves_after is not None else asyncio.Event().wait())
        return {"type": "http.disconnect"}

    async def send(one: Any) -> None:
        messages.append(one)

    await stream({"type": "http", "path": path}, receive, send)
    return messages


async def test_pieces_are_sent_as_they_come_and_the_stream_ends_with_its_source() -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    start, *bodies = await sent(EventStream(source(), {"x-own": "1"}))
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    assert headers["content-type"].startswith("text/event-stream")
    assert (headers["cache-control"], headers["x-own"]) == ("no-store", "1")
    assert [one["body"] for one in bodies] == [b"one", b"two", b""]
    assert [one["more_body"] for one in bodies] == [True, True, False]


async def test_a_silent_source_is_kept_alive_with_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE_S", 0.01)

    async def source() -> AsyncIterator[bytes]:
        await asyncio.sleep(0.1)
        yield b"late"

    bodies = [one["body"] for one in (await sent(EventStream(source())))[1:]]
    assert bodies[-2:] == [b"late", b""]
    assert len(bodies) > 2
    assert set(bodies[:-2]) == {b": working\n\n"}


async def test_the_source_is_closed_when_the_client_goes() -> None:
    closed: list[str] = []

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"one"
            await asyncio.Event().wait()
        finally:
            closed.append("closed")

    messages = await sent(EventStream(source()), leaves_after=0.02)
    assert [one.get("body") for one in messages[1:]] == [b"one"]
    assert closed == ["closed"]


@pytest.mark.parametrize(("path", "named"), [("/ttp/v1/generate", True), ("/v1/chat/completions", False)])
async def test_a_fault_of_the_source_ends_the_answer_in_the_form_of_the_path(path: str, named: bool) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"one"
        raise ZeroDivisionError("what somebody wrote")

    *_, last = await sent(EventStream(source()), path=path)
    assert last["more_body"] is False
    name, _, data = last["body"].rpartition(b"data: ")
    assert (name == b"event: error\n") is named
    error = json.loads(data)["error"]
    assert error["code"] == "fault"
    assert b"somebody" not in last["body"]
