"""Refusals that every endpoint shares."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from edge_ttp.paths import locate
from edge_ttp.server.access import Access
from edge_ttp.server.application import application
from edge_ttp.server.guard import Doors
from edge_ttp.server.state import State

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(("path", "body"), [("generate", {"prompt": "x"}), ("rewrite", {"text": "x"})])
async def test_a_full_server_says_so_and_when_to_come_again(home: Any, path: str, body: dict[str, Any]) -> None:
    runtime: Any = None  # nothing is drawn
    state = State(runtime, Access(locate()), most=0, owner_socket=True)
    transport = httpx.ASGITransport(application(state, Doors()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.post(f"/ttp/v1/{path}", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_requests")
    assert answer.headers["retry-after"]
