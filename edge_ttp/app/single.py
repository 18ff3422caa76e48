"""One app for one home: the first one holds a lock and listens, later ones hand over what they were asked and end.

Over loopback with a key that only the owner's programs can read (multiprocessing.connection's challenge, HMAC); what
comes in is bytes of JSON, never unpickled.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener
from typing import Any

from edge_ttp.paths import Paths, private_folder
from edge_ttp.system.file_lock import try_lock
from edge_ttp.system.private_file import read_small, write_private

RECORD = "app.json"
LOCK = "app.lock"
MOST_BYTES = 4 * 2**20
"""Longest message; a text from the clipboard is the largest part."""


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
        self._listener = Listener(("127.0.0.1", 0), authkey=self._key)
        write_private(
            self._record, json.dumps({"port": self._listener.address[1], "key": self._key.hex(), "pid": os.getpid()})
        )

    def listen(self, hear: Callable[[AppWish], None]) -> None:
        """Calls `hear`, from a thread, with what later starts want."""
        threading.Thread(target=self._listen, args=(hear,), daemon=True, name="edge-ttp-single").start()

    def stop_listening(self) -> None:
        """Takes no more wishes: this app is ending, and whoever comes now waits until it has."""
        with suppress(OSError):
            self._record.unlink()
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
                with self._listener.accept() as connection:
                    wish = _wish(connection.recv_bytes(MOST_BYTES))
                    if wish is not None:
                        hear(wish)
                    connection.send_bytes(b"heard" if wish is not None else b"not understood")
            except (AuthenticationError, EOFError, ConnectionError):
                continue  # a stranger, or one that went away
            except OSError:
                return  # closed


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
        with Client(("127.0.0.1", int(record["port"])), authkey=bytes.fromhex(record["key"])) as connection:
            connection.send_bytes(json.dumps(asdict(wish)).encode())
            return connection.poll(5.0) and connection.recv_bytes(64) == b"heard"
    except (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError, AuthenticationError):
        return False


def _wish(data: bytes) -> AppWish | None:
    try:
        told = json.loads(data)
        return AppWish(show=bool(told["show"]), text=str(told["text"]), clipboard=bool(told["clipboard"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
