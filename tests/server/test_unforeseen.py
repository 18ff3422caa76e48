"""Faults that come after an answer has begun end at the application, logged by number and place."""

from __future__ import annotations

from typing import Any

import pytest

from edge_ttp.server.unforeseen import FaultsEndHere, fault

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_late_fault_is_logged_once_and_goes_no_further(caplog: pytest.LogCaptureFixture) -> None:
    async def late(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise KeyError("what somebody wrote")

    async def told(scope: Any, receive: Any, send: Any) -> None:
        error = KeyError("what somebody wrote")
        fault(error, scope)
        raise error

    sent: list[Any] = []

    async def send(part: Any) -> None:
        sent.append(part)

    for app in (late, told):
        caplog.clear()
        await FaultsEndHere(app)({"path": "/x\n"}, send, send)
        (record,) = caplog.records
        assert "KeyError at '/x\\n'" in record.getMessage()
        assert "somebody wrote" not in caplog.text
    assert [one["type"] for one in sent] == ["http.response.start"]
