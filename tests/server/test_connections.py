"""Connections that come slowly, broken, in crowds, or with more than a request has: the next one is answered."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from edge_ttp.server import connections
from edge_ttp.server.serving import Place, listen

from .serving import Running

BODY = json.dumps({"prompt": "Tell me everything.", "n": 4, "sampling": {"max_tokens": 2000}, "store": False})


def said(server: Running, data: bytes, *, half_close: bool = False) -> bytes:
    """What the server answers to these bytes, until it closes or is silent for two seconds."""
    got = b""
    with opened(server) as peer, suppress(OSError):  # it may be refused before it was sent
        peer.sendall(data)
        if half_close:
            peer.shutdown(socket.SHUT_WR)
        peer.settimeout(2)
        while more := peer.recv(65536):
            got += more
    return got


def opened(server: Running) -> socket.socket:
    at = urlsplit(server.url)
    assert at.hostname is not None
    return socket.create_connection((at.hostname, at.port), timeout=10)


def head(server: Running, first: str = "GET /health HTTP/1.1", *lines: str) -> bytes:
    where = urlsplit(server.url).netloc
    return "\r\n".join([first, f"Host: {where}", *lines, "", ""]).encode()


def answers(server: Running) -> bool:
    with server.client(timeout=60) as http:
        return http.get("/ttp/v1/info").status_code == 200


@pytest.mark.real
@pytest.mark.parametrize(
    "bad",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a client that speaks TLS
        b"GET\r\n\r\n",
        b"GET / SPDY/3\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X%d: y\r\n" % at for at in range(20_000)) + b"\r\n",
        b"POST /ttp/v1/generate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n{}",
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}",
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n{}",
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused(server: Running, bad: bytes) -> None:
    got = said(server, bad)
    status = got.split(b" ", 2)[1] if got else b""
    assert status in (b"", b"400", b"401", b"403", b"413", b"431"), got[:300]
    assert b"Traceback" not in got
    assert answers(server)


@pytest.mark.real
@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/..%2f..%2fetc/passwd", "/page.js/../../serving.py", "/%2e%2e/serving.py", "//etc/passwd",
     "/page.js%00", "/page/index.html", "/\\..\\serving.py", "http://evil.example/", "/index.html"],
)  # fmt: skip
def test_only_the_pages_own_files_are_served(server: Running, path: str) -> None:
    got = said(server, head(server, f"GET {path} HTTP/1.1", "Connection: close"))
    assert got.split(b" ", 2)[1] in (b"400", b"403", b"404"), got[:300]
    assert b"root:" not in got


@pytest.mark.real
def test_a_request_that_is_half_closed_or_cut_off_leaves_nothing_behind(server: Running) -> None:
    wanted = head(
        server,
        "POST /ttp/v1/generate HTTP/1.1",
        f"Authorization: Bearer {server.token}",
        "Content-Type: application/json",
        f"Content-Length: {len(BODY)}",
    )
    said(server, wanted + BODY.encode(), half_close=True)
    said(server, wanted + BODY.encode()[:10], half_close=True)
    for _ in range(5):
        with opened(server) as peer:
            peer.sendall(wanted + BODY.encode())
    idle(server)


def idle(server: Running) -> None:
    """Waits until nothing draws any more."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with server.client() as http:
            began = time.monotonic()
            http.post("/ttp/v1/generate", json={"prompt": "hi", "n": 1, "sampling": {"max_tokens": 1}, "store": False})
            if time.monotonic() - began < 5:
                return
    pytest.fail("something still draws")


@pytest.mark.real
def test_a_hundred_readers_that_do_not_read_keep_nobody_out(server: Running) -> None:
    long = json.dumps({**json.loads(BODY), "stream": True})
    wanted = head(
        server,
        "POST /ttp/v1/generate HTTP/1.1",
        f"Authorization: Bearer {server.token}",
        f"Content-Length: {len(long)}",
    )
    process = psutil.Process(server.process.pid)
    before = process.num_fds()
    peers = []
    for _ in range(100):
        peer = opened(server)
        peer.sendall(wanted + long.encode())
        peers.append(peer)
    assert answers(server)
    for peer in peers:
        peer.close()
    idle(server)
    until = time.monotonic() + 30
    while process.num_fds() > before + 8 and time.monotonic() < until:
        time.sleep(0.1)
    assert process.num_fds() <= before + 8


@pytest.mark.real
@pytest.mark.parametrize(
    "user", ["../me", "me/../zoe", "%2e%2e/me", "ä\u0308", "a b", "\u202eevil", "*", "'; --", "me"]
)
def test_a_sub_user_of_any_name_sees_its_own_texts_alone(server: Running, user: str) -> None:
    with server.client() as http:
        added = http.post("/ttp/v1/history", params={"user": user}, json={"output": f"only {user!a} wrote this"})
        assert added.status_code == 200, added.text
        (mine,) = http.get("/ttp/v1/history", params={"user": user}).json()
        assert mine["user_id"] == f"me/{user}"
        own = http.get("/ttp/v1/history", params={"limit": 200}).json()
        assert f"only {user!a} wrote this" not in [one["output"] for one in own]
        forgotten = http.post("/ttp/v1/history/forget", params={"user": user}, json={"everything": True})
        assert forgotten.json()["items"] == 1
        assert len(http.get("/ttp/v1/history", params={"limit": 200}).json()) == len(own)


@pytest.mark.real
@pytest.mark.parametrize("user", ["\x00", "a\nb", " ", "x" * 1000])
def test_a_name_that_is_none_is_refused(server: Running, user: str) -> None:
    with server.client() as http:
        assert http.get("/ttp/v1/history", params={"user": user}).status_code == 400


class Quiet:
    """The smallest application."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.slow
def test_a_head_that_trickles_is_given_up_and_one_that_is_whole_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    import uvicorn

    monkeypatch.setattr(connections, "HEAD_WAIT_S", 0.3)

    async def trickled(port: int, *, first: bytes = b"") -> bytes:
        """All that is answered to a head of which a byte comes now and then."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(first)
        answered = await reader.read(1000) if first else b""
        with suppress(OSError):
            for _ in range(200):
                writer.write(b"x")
                await writer.drain()
                if reader.at_eof():
                    break
                await asyncio.sleep(0.02)
        with suppress(OSError):
            answered += await asyncio.wait_for(reader.read(1000), 10)
        writer.close()
        return answered

    async def main() -> None:
        with listen(Place(port=0)) as made:
            port = made.getsockname()[1]
            config = uvicorn.Config(
                Quiet(), log_config=None, lifespan="off", http=connections.PatientProtocol, ws="none"
            )
            serving = uvicorn.Server(config)
            running = asyncio.ensure_future(serving.serve([made]))
            while not serving.started:
                await asyncio.sleep(0.01)
            assert await trickled(port) == b""
            whole = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
            assert b"200 OK" in await trickled(port, first=whole)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                assert (await http.get("/")).text == "ok"
                await asyncio.sleep(0.6)  # idle after an answer is another thing
                assert (await http.get("/")).text == "ok"
            serving.should_exit = True
            await running

    asyncio.run(main())
