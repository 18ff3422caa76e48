"""Streams of server-sent events: never silent for long, closed when the client goes, faults told in their form."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from edge_ttp.server import sse
from edge_ttp.server.ollama_routes import LineStream
from edge_ttp.server.sse import DONE, EventStream, comment, message

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def sent(stream: EventStream, path: str = "/v1/chat/completions", *, leaves: bool = False) -> list[bytes]:
    """The pieces that a client gets, one that leaves after the first piece if told to."""
    got: list[bytes] = []
    left = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(part: Any) -> None:
        if part["type"] == "http.response.body" and part.get("body"):
            got.append(part["body"])
            if leaves:
                left.set()

    await stream({"type": "http", "path": path, "headers": []}, receive, send)
    return got


def test_messages_are_json_behind_data_and_an_empty_line() -> None:
    assert message({"a": "é\n"}) == 'data: {"a": "é\\n"}\n\n'.encode()
    assert message({}, "done") == b"event: done\ndata: {}\n\n"
    assert comment("12 tokens") == b": 12 tokens\n\n"
    assert DONE == b"data: [DONE]\n\n"


async def test_a_silent_stream_says_comments_and_lines_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE_S", 0.001)
    assert sse.STALLED_S > 10

    async def slow(line: bytes, said: list[bytes]) -> AsyncIterator[bytes]:
        while not said:  # until a comment came
            await asyncio.sleep(0)
        yield line

    for kind, kept in ((EventStream, b": working\n\n"), (LineStream, b"\n")):
        got: list[bytes] = []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(3600)
            return {}

        async def send(part: Any, got: list[bytes] = got) -> None:
            if part.get("body"):
                got.append(part["body"])

        await kind(slow(b"whole", got))({"type": "http", "path": "/x", "headers": []}, receive, send)
        assert set(got[:-1]) == {kept}
        assert got[-1] == b"whole"


def test_clients_drop_a_stream_after_ten_silent_seconds_and_ours_is_never_silent_so_long() -> None:
    assert sse.KEEP_ALIVE_S < 10


async def test_the_source_is_closed_when_the_client_goes() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"more"
                await asyncio.sleep(0)
        finally:
            closed.set()

    await sent(EventStream(endless()), leaves=True)
    assert closed.is_set()


@pytest.mark.parametrize(
    ("stream", "path"),
    [(EventStream, "/v1/chat/completions"), (EventStream, "/ttp/v1/generate"), (LineStream, "/api/chat")],
)
async def test_a_fault_in_a_stream_is_told_in_its_form_without_a_text(
    stream: type[EventStream], path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"first\n\n"
        raise ValueError("what somebody wrote")

    first, last = await sent(stream(broken()), path)
    assert first == b"first\n\n"
    line = last.decode().strip().splitlines()[-1].removeprefix("data: ")
    error = json.loads(line)["error"]
    told = error if isinstance(error, str) else error["message"]
    assert "an unexpected fault" in told
    assert (isinstance(error, dict) and error.get("type") == "server_error") == path.startswith("/v1/")
    assert "somebody wrote" not in last.decode() + caplog.text
    assert "ValueError" in caplog.text
