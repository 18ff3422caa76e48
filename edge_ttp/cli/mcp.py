"""`edge-ttp mcp`: the Model Context Protocol on stdin and stdout."""

from __future__ import annotations

import asyncio

import typer

from edge_ttp.cli import options
from edge_ttp.errors import ExtraMissing

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command()
def mcp(
    user: options.User = None,
    model: options.Model = None,
    policy_url: options.PolicyUrl = None,
    reward: options.Reward = None,
    deadline: options.Deadline = None,
    threads: options.Threads = None,
) -> None:
    """Serve rewrite_as_me, draft_as_me and remember to a program that starts this one (MCP, stdio).

    For its configuration: command `edge-ttp`, arguments `mcp`. Needs the extra `mcp`.
    """
    try:
        from edge_ttp.desk.mcp_server import server
    except ImportError as missing:
        cure = "install the extra: pip install 'edge-ttp[mcp]'"
        raise ExtraMissing(f"`edge-ttp mcp` needs the package {missing.name or 'mcp'!r}", cure) from missing
    from edge_ttp.aio import AsyncRuntime

    async def serve() -> None:
        async with AsyncRuntime.open(model=model, reward=reward, threads=threads, policy_url=policy_url) as runtime:
            await server(runtime, user, deadline_s=deadline).run_stdio_async()

    asyncio.run(serve())
