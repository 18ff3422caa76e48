"""A server that trickles does not hold a download for ever, wherever in its answer it does so."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_ttp.errors import Cancelled, DownloadFailed
from edge_ttp.registry.download import Downloader

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ANSWERS = {
    "its body": (JSON + b"Content-Length: 99999\r\n\r\n", b" "),
    "its headers": (b"HTTP/1.1 200 OK\r\nX-Endless: ", b"a"),
    "its status": (b"", b"H"),
    "chunks of no bytes": (JSON + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a"),
    "a body without an end": (JSON + b"Connection: close\r\n\r\n[]", b" "),
    "nothing at all": (b"", b""),
}
Trickling = Callable[[bytes, bytes], int]


@pytest.fixture
def trickling() -> Iterator[Trickling]:
    """Starts a server that says one thing at once and another every 20 ms; its port."""
    ended = threading.Event()
    servers: list[socket.socket] = []

    def trickle(connection: socket.socket, first: bytes, then: bytes) -> None:
        with connection:
            try:
                connection.recv(65_536)
                connection.sendall(first)
                while not ended.wait(0.02):
                    connection.sendall(then)
            except OSError:
                pass

    def serve(server: socket.socket, first: bytes, then: bytes) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=trickle, args=(connection, first, then), daemon=True).start()

    def start(first: bytes, then: bytes) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        threading.Thread(target=serve, args=(server, first, then), daemon=True).start()
        port: int = server.getsockname()[1]
        return port

    yield start
    ended.set()
    for server in servers:
        server.close()


def downloader(slow_s: float = 0.2) -> Downloader:
    return Downloader(allow_http_localhost=True, backoff_s=0.001, slow_s=slow_s)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("where", ANSWERS)
def test_a_server_that_trickles_is_given_up(where: str, trickling: Trickling) -> None:
    address = f"http://127.0.0.1:{trickling(*ANSWERS[where])}/file"
    with downloader() as one, pytest.raises(DownloadFailed, match=r"4 tries \(\d+ bytes came in 0\.2 s"):
        one.json(address, "application/json")


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("where", ["its body", "its headers"])
def test_so_it_is_while_a_file_is_fetched_or_asked_for(where: str, trickling: Trickling, tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{trickling(*ANSWERS[where])}/file"
    with downloader() as one:
        with pytest.raises(DownloadFailed, match=r"bytes came in 0\.2 s"):
            one.file(
                address, tmp_path / "part", sha256="0" * 64, size=None, limit=10**6, advance=lambda done, total: None
            )
        if where == "its headers":
            with pytest.raises(DownloadFailed, match=r"bytes came in 0\.2 s"):
                one.announced(address)


@pytest.mark.timeout(60)
def test_a_handshake_that_trickles_is_given_up(trickling: Trickling) -> None:
    port = trickling(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"\x00")  # a record that announces 16 kB of greetings
    with downloader() as one, pytest.raises(DownloadFailed, match=r"0 bytes came in 0\.2 s"):
        one.json(f"https://127.0.0.1:{port}/file", "application/json")


@pytest.mark.timeout(60)
def test_a_cancel_does_not_wait_for_a_silent_server(trickling: Trickling) -> None:
    address = f"http://127.0.0.1:{trickling(b'', b'')}/file"
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    began = time.monotonic()
    with downloader(slow_s=3600) as one, pytest.raises(Cancelled):
        one.json(address, "application/json", cancel)
    assert time.monotonic() - began < 30  # the client's own timeout, four times over, would be 120
