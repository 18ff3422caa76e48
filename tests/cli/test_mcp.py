"""`edge-ttp mcp`: without its extra it is one line; with it, tests/desk/test_mcp_server.py speaks to it."""

from __future__ import annotations

import sys

import pytest

from edge_ttp import aio
from edge_ttp.cli.main import run
from edge_ttp.desk import mcp_server


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "mcp"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "mcp", None)
    monkeypatch.delitem(sys.modules, "edge_ttp.desk.mcp_server")
    assert run(["mcp"]) == 9
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("edge-ttp: `edge-ttp mcp` needs the package 'mcp")
    assert printed.err.endswith("install the extra: pip install 'edge-ttp[mcp]'\n")


def test_its_options_reach_the_runtime_and_the_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    class Opened:
        async def __aenter__(self) -> Opened:
            return self

        async def __aexit__(self, *_: object) -> None:
            given["closed"] = True

        async def run_stdio_async(self) -> None:
            given["served"] = True

    def opened(**options: object) -> Opened:
        given.update(options)
        return Opened()

    def server(runtime: Opened, user: str | None, *, deadline_s: float | None) -> Opened:
        given.update(user=user, deadline_s=deadline_s)
        return runtime

    monkeypatch.setattr(aio.AsyncRuntime, "open", opened)
    monkeypatch.setattr(mcp_server, "server", server)
    assert run(["mcp", "--user", "ann", "--deadline", "3s", "--threads", "2", "--model", "own"]) == 0
    assert given == {
        "model": "own", "reward": None, "threads": 2, "policy_url": None,
        "user": "ann", "deadline_s": 3.0, "served": True, "closed": True,
    }  # fmt: skip
