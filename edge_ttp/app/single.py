"""One app for one home: the first one holds a lock and listens, later ones hand over what they were asked and end.

Over loopback with a key that only the owner's programs can read (multiprocessing.connection's challenge, HMAC); what
comes in is bytes of JSON, never unpickled.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from typing import Any

from edge_ttp.paths import Paths, private_folder
from edge_ttp.system.file_lock import try_lock
from edge_ttp.system.private_file import read_small, write_private

RECORD = "app.json"
LOCK = "app.lock"
MOST_BYTES = 4 * 2**20
"""Longest message; a text from the clipboard is the largest part."""
MOST_VISITORS = 64
"""Connections heard at once."""
PATIENCE_S = 5.0
"""Longest that either side waits for the other's next bytes."""


@dataclass(frozen=True)
class AppWish:
    """What somebody who started the app wants of it."""

    show: bool = True
    """The main window; else the compose window."""
    text: str = ""
    """For the compose window: what it is about."""
    clipboard: bool = False
    """For the compose window: take the clipboard's text."""


class Only:
    """This process as the only app of its home, for as long as it lives."""

    def __init__(self, paths: Paths, handle: int) -> None:
        """Use `first`."""
        self._record, self._handle = paths.run / RECORD, handle
        self._key = secrets.token_bytes(32)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._visitors = threading.BoundedSemaphore(MOST_VISITORS)
        port = self._listener.getsockname()[1]
        write_private(self._record, json.dumps({"port": port, "key": self._key.hex(), "pid": os.getpid()}))

    def listen(self, hear: Callable[[AppWish], None]) -> None:
        """Calls `hear`, from a thread, with what later starts want."""
        threading.Thread(target=self._listen, args=(hear,), daemon=True, name="edge-ttp-single").start()

    def stop_listening(self) -> None:
        """Takes no more wishes: this app is ending, and whoever comes now waits until it has."""
        with suppress(OSError):
            self._record.unlink()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # or the thread would go on waiting in accept
        with suppress(OSError):
            self._listener.close()

    def close(self) -> None:
        """Lets another app be the first one."""
        self.stop_listening()
        with suppress(OSError):
            os.close(self._handle)

    def _listen(self, hear: Callable[[AppWish], None]) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:
                return  # closed
            if not self._visitors.acquire(blocking=False):
                visitor.close()
                continue
            # In a thread of its own: anybody on this machine can knock and then say nothing.
            threading.Thread(target=self._answer, args=(visitor, hear), daemon=True, name="edge-ttp-visitor").start()

    def _answer(self, visitor: socket.socket, hear: Callable[[AppWish], None]) -> None:
        try:
            with _patient(visitor) as connection:
                deliver_challenge(connection, self._key)
                answer_challenge(connection, self._key)
                wish = _wish(connection.recv_bytes(MOST_BYTES))
                if wish is not None:
                    hear(wish)
                connection.send_bytes(b"heard" if wish is not None else b"not understood")
        except (AuthenticationError, EOFError, OSError, ValueError):
            pass  # a stranger, one that went away or says nothing
        finally:
            self._visitors.release()


def first(paths: Paths) -> Only | None:
    """This process as the only app of the home; None where another one is it already."""
    handle = os.open(private_folder(paths.run) / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    if not try_lock(handle):
        os.close(handle)
        return None
    return Only(paths, handle)


def hand_over(paths: Paths, wish: AppWish) -> bool:
    """Whether the app that runs already took `wish`."""
    try:
        record: dict[str, Any] = json.loads(read_small(paths.run / RECORD))
        key = bytes.fromhex(record["key"])
        with _patient(socket.create_connection(("127.0.0.1", int(record["port"])), PATIENCE_S)) as connection:
            answer_challenge(connection, key)
            deliver_challenge(connection, key)
            connection.send_bytes(json.dumps(asdict(wish)).encode())
            return connection.poll(PATIENCE_S) and connection.recv_bytes(64) == b"heard"
    except (OSError, OverflowError, ValueError, KeyError, TypeError, EOFError, RecursionError, AuthenticationError):
        return False


def _patient(made: socket.socket) -> Connection:
    """The socket as a connection that waits for the other side only so long; an OSError then."""
    made.settimeout(None)
    wait = struct.pack("l", int(PATIENCE_S * 1000)) if os.name == "nt" else struct.pack("ll", int(PATIENCE_S), 0)
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        made.setsockopt(socket.SOL_SOCKET, option, wait)
    return Connection(made.detach())


def _wish(data: bytes) -> AppWish | None:
    try:
        told = json.loads(data)
        return AppWish(show=bool(told["show"]), text=str(told["text"]), clipboard=bool(told["clipboard"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
