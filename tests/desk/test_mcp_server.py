"""The SDK's own client against the real server in a process of its own, over the fake models."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.command import FAKED, model_files
from mcp import Client, StdioServerParameters, stdio_client

from edge_ttp.history import History
from edge_ttp.paths import locate


def talk(home: Path, tmp_path: Path, what: Callable[[Client], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        command, *arguments = FAKED
        started = StdioServerParameters(
            command=command,
            args=[*arguments, "mcp", "--user", "ann", *model_files(tmp_path)],
            env={**os.environ, "EDGE_TTP_HOME": str(home)},
        )
        async with Client(stdio_client(started)) as client:
            return await what(client)

    return asyncio.run(asyncio.wait_for(run(), 120))


@pytest.mark.slow
def test_the_tools_are_listed_draft_rewrite_and_remember(home: Path, tmp_path: Path) -> None:
    async def what(client: Client) -> dict[str, Any]:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"rewrite_as_me", "draft_as_me", "remember"}
        assert all(tool.description for tool in tools.values())
        found: dict[str, Any] = {}
        found["stored"] = await client.call_tool("remember", {"text": "Nope, can't.", "kind": "chat"})
        found["draft"] = await client.call_tool("draft_as_me", {"prompt": "Lunch?", "kind": "chat"})
        found["rewritten"] = await client.call_tool(
            "rewrite_as_me", {"text": "We meet Anna at 5 pm.", "kind": "chat", "keep": "strict"}
        )
        name = found["rewritten"].structured_content["generation_id"]
        found["sent"] = await client.call_tool("remember", {"text": "anna, 5 pm!", "generation_id": name})
        found["wrong"] = await client.call_tool("remember", {"text": "x", "generation_id": "none"})
        found["empty"] = await client.call_tool("rewrite_as_me", {"text": " "})
        return found

    found = talk(home, tmp_path, what)
    assert found["draft"].structured_content["text"]
    rewritten = found["rewritten"].structured_content
    assert "Anna" in rewritten["text"]
    assert rewritten["missing"] == rewritten["added"] == []
    assert found["wrong"].is_error
    assert found["empty"].is_error
    assert "Traceback" not in str(found["wrong"].content)
    with History.open(locate(home).database) as history:
        assert [one.output for one in history.items("ann")] == ["anna, 5 pm!", "Nope, can't."]
        assert [one.kind for one in history.feedback_for("ann")] == ["edit"]
