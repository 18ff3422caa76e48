"""JSON-RPC on stdin and stdout, as an app without a port has it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from edge_ttp.paths import locate
from edge_ttp.server.access import Access
from edge_ttp.server.application import application
from edge_ttp.server.guard import MAX_BODY, Doors
from edge_ttp.server.state import State
from edge_ttp.server.stdio import StdioConversation

pytestmark = pytest.mark.real
ONE = "GET /ttp/v1/generations/{generation_id}"


class Peer:
    """The app's end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, number: Any, method: str, **params: Any) -> list[Any]:
        """Everything that is said about one request, its end last."""
        self.say(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
        heard = [self.hear()]
        while heard[-1].get("id") != number or "method" in heard[-1]:
            heard.append(self.hear())
        return heard


@pytest.fixture(scope="module")
def peer(server_home: Path) -> Iterator[Peer]:
    environment = {**os.environ, "EDGE_TTP_HOME": str(server_home)}
    command = [sys.executable, "-m", "edge_ttp", "serve", "--stdio"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    yield Peer(process)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(60) == 0


def test_a_method_is_an_endpoint(peer: Peer) -> None:
    (answer,) = peer.ask(1, "GET /ttp/v1/info")
    assert answer["result"]["name"] == "edge-ttp"
    (items,) = peer.ask(2, "GET /ttp/v1/history", query={"limit": 3})
    assert len(items["result"]) == 3


def test_events_come_before_the_result(peer: Peer) -> None:
    heard = peer.ask("a", "POST /ttp/v1/generate", body={"prompt": "Is lunch ready?", "n": 2, "stream": True})
    assert all(one["method"] == "event" and one["params"]["id"] == "a" for one in heard[:-1])
    assert heard[-2]["params"]["event"]["generation"]["n"] == 2


def test_requests_run_side_by_side_and_one_is_cancelled_by_its_id(peer: Peer) -> None:
    body = {
        "prompt": "Tell me everything.",
        "n": 16,
        "sampling": {"max_tokens": 2000, "temperature": 2},
        "store": False,
    }
    peer.say(json.dumps({"jsonrpc": "2.0", "id": 10, "method": "POST /ttp/v1/generate", "params": {"body": body}}))
    (short,) = peer.ask(11, "POST /ttp/v1/generate", body={"prompt": "Short?", "n": 1, "store": False})
    assert short["result"]["n"] == 1
    peer.say(json.dumps({"jsonrpc": "2.0", "method": "cancel", "params": {"id": 10}}))
    ended = peer.hear()
    assert (ended["id"], ended["error"]["data"]["code"]) == (10, "cancelled")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{", -32700),
        ("[]", -32600),
        ('{"id": 1}', -32600),
        ('{"method": "GET /health"}', -32600),
        ('{"id": 5, "method": "nothing"}', -32601),
        ('{"id": 5, "method": "GET /health", "params": []}', -32602),
        ('{"id": 5, "method": "POST /ttp/v1/generate", "params": {"body": {}}}', -32000),
    ],
)
def test_what_is_no_request_is_refused_and_the_conversation_goes_on(peer: Peer, line: str, code: int) -> None:
    peer.say(line)
    assert peer.hear()["error"]["code"] == code
    (answer,) = peer.ask(99, "GET /health")
    assert answer["result"]["status"] == "ok" or answer["error"]["data"]["status"] == 503


def test_a_line_that_is_too_long_is_refused_when_it_ends(peer: Peer) -> None:
    peer.say("x" * (MAX_BODY + 100_000))
    refused = peer.hear()
    assert refused["error"]["code"] == -32700
    assert "bytes" in refused["error"]["message"]
    (answer,) = peer.ask(100, "GET /ttp/v1/info")
    assert answer["result"]["name"] == "edge-ttp"


@pytest.mark.parametrize(
    "line",
    [
        "\x00\x01\x02 no text at all",
        "[" * 100_000,
        '{"id": ' + "9" * 10_000 + ', "method": "GET /health"}',
        f'{{"id": 7, "method": "{ONE}", "params": {{"path": {{"generation_id": "\\ud800"}}}}}}',
        '{"id": 7, "method": "GET /ttp/v1/history", "params": {"query": {"user": "\\ud800"}}}',
        '{"id": 7, "method": "POST /ttp/v1/generate", "params": {"body": {"prompt": "\\ud800", "n": 1}}}',
        f'{{"id": 7, "method": "{ONE}", "params": {{"path": {{"generation_id": "../../x"}}}}}}',
        '{"id": 7, "method": "POST /ttp/v1/generate", "params": {"body": NaN}}',
    ],
)
def test_garbage_is_answered_by_an_error_and_the_conversation_goes_on(peer: Peer, line: str) -> None:
    peer.say(line)
    assert "error" in peer.hear()
    (answer,) = peer.ask(101, "GET /ttp/v1/info")
    assert answer["result"]["name"] == "edge-ttp"


def test_a_fault_is_an_answer_and_says_no_text(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise ValueError("what somebody wrote")

    said: list[dict[str, Any]] = []

    async def talk() -> None:
        state = State(cast(Any, Broken()), Access(locate()), owner_socket=True)
        lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        asked = {"jsonrpc": "2.0", "id": 5, "method": "POST /ttp/v1/generate", "params": {"body": {"prompt": "x"}}}
        conversation = StdioConversation(application(state, Doors(hosts=frozenset({"*"}))), said.append)
        conversation.take(json.dumps(asked).encode())
        while not said:
            await asyncio.sleep(0.001)
        lines.put_nowait(None)
        await conversation.follow(lines, state.ending)

    asyncio.run(asyncio.wait_for(talk(), 60))
    (answer,) = said
    assert (answer["id"], answer["error"]["data"]["code"]) == (5, "fault")
    assert "somebody wrote" not in json.dumps(answer) + caplog.text
