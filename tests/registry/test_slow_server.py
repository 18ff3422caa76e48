"""A server that trickles does not hold a download for ever."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_ttp.errors import DownloadFailed
from edge_ttp.registry.download import Downloader


@pytest.fixture
def trickling() -> Iterator[str]:
    """The address of a server that answers at once and then sends a byte every 50 ms."""
    ended = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def trickle(connection: socket.socket) -> None:
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n")
            try:
                while not ended.wait(0.05):
                    connection.sendall(b" ")
            except OSError:
                pass

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=trickle, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/file"
    ended.set()
    listening.close()


@pytest.mark.timeout(60)
def test_a_server_that_trickles_is_given_up(trickling: str, tmp_path: Path) -> None:
    with Downloader(allow_http_localhost=True, backoff_s=0.01, slow_s=0.3) as downloader:
        with pytest.raises(DownloadFailed, match=r"bytes came in 0\.3 s"):
            downloader.json(trickling, "application/json")
        with pytest.raises(DownloadFailed, match=r"bytes came in 0\.3 s"):
            downloader.file(
                trickling, tmp_path / "part", sha256="0" * 64, size=None, limit=10**6, advance=lambda done, total: None
            )
