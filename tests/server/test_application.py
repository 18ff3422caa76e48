"""What every endpoint shares: refusals, faults, whether the server is ready."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import pytest

from edge_ttp.paths import locate
from edge_ttp.server import guard
from edge_ttp.server.access import Access
from edge_ttp.server.application import application
from edge_ttp.server.guard import Doors
from edge_ttp.server.state import State

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("path", "body"), [("generate", {"prompt": "x"}), ("rewrite", {"text": "x"})])
async def test_a_full_server_says_so_and_when_to_come_again(home: Any, path: str, body: dict[str, Any]) -> None:
    runtime: Any = None  # nothing is drawn
    state = State(runtime, Access(locate()), most=0, owner_socket=True)
    transport = httpx.ASGITransport(application(state, Doors()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.post(f"/ttp/v1/{path}", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_requests")
    assert answer.headers["retry-after"]


def served(state: State) -> httpx.AsyncClient:
    """A client of the application over `state`. Faults that go beyond the application are raised here."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(application(state, Doors())), base_url="http://localhost")


@pytest.fixture
def state(home: Any) -> State:
    runtime: Any = None  # whoever draws with it meets a fault
    return State(runtime, Access(locate()), owner_socket=True)


async def test_health_is_503_while_a_model_loads(state: State) -> None:
    async with served(state) as http:
        answer = await http.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "loading")
        assert answer.headers["retry-after"]
        state.loading = False
        assert (await http.get("/health")).json() == {"status": "ok", "instance": state.instance}


@pytest.mark.parametrize("path", ["/v1/completions", "/ttp/v1/generate"])
async def test_a_body_without_a_length_is_refused_where_it_is_too_large_or_too_slow(
    state: State, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(guard, "MAX_BODY", 1000)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100

    async def stops() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(3600)

    async with served(state) as http:
        answer = await http.post(path, content=pieces())
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
        monkeypatch.setattr(guard, "BODY_WAIT_S", 0.05)
        answer = await http.post(path, content=stops())
        assert (answer.status_code, answer.json()["error"]["code"]) == (408, "too_slow")


async def test_a_fault_has_a_number_and_neither_answer_nor_log_has_a_text(
    state: State, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise ValueError("what somebody wrote")

    state.runtime = cast(Any, Broken())
    async with served(state) as http:
        answer = await http.post("/ttp/v1/generate", json={"prompt": "x"})
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert error["code"] == "fault"
    number = error["message"].rpartition("(")[2].rstrip(")")
    assert f"fault {number}: ValueError at '/ttp/v1/generate': test_application.py:" in caplog.text
    assert "somebody wrote" not in answer.text + caplog.text
    assert "Traceback" not in answer.text + caplog.text
