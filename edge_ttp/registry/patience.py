"""Hangs up on servers that send next to nothing.

A client's timeouts see silence only: a byte every half second, in the headers, in the handshake or in the body, would
hold it for ever.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

SLOW_S = 30.0
SLOW_BYTES = 4 << 10
"""A server that sends less than so many bytes in so many seconds is as good as silent: 0.1 KiB a second."""
_POLL_S = 0.1


@dataclass
class Wait:
    """One request under way."""

    count: int = 0
    """Bytes of its body that came so far."""
    given_up: str = ""
    """Why it was hung up on; empty while it was not."""
    ended: Event = field(default_factory=Event)


class Patience:
    """Watches the requests of one httpx client, one at a time, from a thread of its own.

    A request that brings less than SLOW_BYTES of its body in `slow_s` seconds, or whose `cancel` is set, loses its
    connection: whoever reads from it gets an httpx.RequestError or an early end, and `Wait.given_up` says why.
    """

    def __init__(self, slow_s: float) -> None:
        self._slow_s = slow_s
        self._connections: list[socket.socket] = []

    def heard(self, event: str, about: Mapping[str, Any]) -> None:
        """For httpx's extension `trace`: remembers each connection by a second handle, since TLS takes the first."""
        if event == "connection.connect_tcp.complete":
            made = about["return_value"].get_extra_info("socket")
            if made is not None:
                self._connections.append(made.dup())

    @contextmanager
    def waiting(self, cancel: Event | None) -> Iterator[Wait]:
        """Watches while the block runs; the block adds what came to `count`."""
        wait = Wait()
        watching = Thread(target=self._watch, args=(wait, cancel), name="edge-ttp-patience", daemon=True)
        watching.start()
        try:
            yield wait
        finally:
            wait.ended.set()
            watching.join()

    def close(self) -> None:
        """Lets go of the connections, which are the client's to close."""
        while self._connections:
            self._connections.pop().close()

    def _watch(self, wait: Wait, cancel: Event | None) -> None:
        since, count = time.monotonic(), 0
        while not wait.ended.wait(min(_POLL_S, self._slow_s)):
            if cancel is not None and cancel.is_set():
                wait.given_up = "cancelled"
            elif time.monotonic() - since > self._slow_s:
                came, since, count = wait.count - count, time.monotonic(), wait.count
                if came < SLOW_BYTES:
                    wait.given_up = f"{came} bytes came in {self._slow_s:g} s"
            if wait.given_up:  # again and again: a connection may be made only now
                self._hang_up()

    def _hang_up(self) -> None:
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
