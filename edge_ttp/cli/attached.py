"""A request answered by a running server of this home, whose models are in memory already, instead of by this process.

Whatever stands in the way (no server, another version, an option that it does not carry, a refusal) gives None: the
caller answers by itself then, and says what is wrong in its own words.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable, Iterable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from edge_ttp import __version__
from edge_ttp.errors import EdgeTTPError
from edge_ttp.paths import locate
from edge_ttp.system.settings import FALLBACK_USER, settings_in_force

if TYPE_CHECKING:
    from edge_ttp.schema import Event, Generation

_HANDSHAKE_S = 5.0
_SILENT_S = 60.0
"""Longest silence of a server that draws: it sends a comment every 5 seconds."""


class _Owner(HTTPConnection):
    """A connection to the owner's socket. The standard library's: others take longer to import than the server to
    answer."""

    def __init__(self, path: Path) -> None:
        super().__init__("owner", timeout=_HANDSHAKE_S)
        self._path = path

    def connect(self) -> None:
        """Connects, for HTTPConnection. Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))

    def be_patient(self) -> None:
        """Waits as long as a server that draws may be silent, from now on."""
        self.timeout = _SILENT_S
        if self.sock is not None:
            self.sock.settimeout(_SILENT_S)


def generate(user: str | None, wish: dict[str, Any], hear: Callable[[Event], None]) -> Generation | None:
    """The answer to `wish`, the JSON body of POST /ttp/v1/generate; None where no server of this home gives one.

    `hear` is given the events as they come. Ctrl-C closes the connection, which ends drawing within a step. Raises what
    the server says went wrong while it drew.
    """
    paths = locate()
    if not _is_ours(paths.server_socket):
        return None
    server = _Owner(paths.server_socket)
    try:
        info = _info(server)
        if info.get("version") != __version__ or info.get("default_reward") is not True:
            return None
        # The server's own user and policy may be others: both are named as they are meant here.
        configured = settings_in_force(paths)
        model = wish.get("model") or configured.model or str(info["policy"])
        if _is_file(model):
            return None
        body = json.dumps({**wish, "model": model, "stream": True}).encode()
        whose = quote(user if user is not None else configured.user or FALLBACK_USER, safe="")
        server.be_patient()
        server.request("POST", f"/ttp/v1/generate?user={whose}", body, {"content-type": "application/json"})
        answer = server.getresponse()
        return _heard(answer, hear) if answer.status == 200 else None
    except (OSError, HTTPException, ValueError, KeyError):
        # ValueError: what JSON cannot hold, or an answer that is none. InvalidInput is one: the caller says it again.
        return None
    finally:
        server.close()


def _info(server: _Owner) -> dict[str, Any]:
    """What the server says of itself; nothing where that is no answer of ours."""
    server.request("GET", "/ttp/v1/info")
    answer = server.getresponse()
    told = json.loads(answer.read())
    return told if answer.status == 200 and isinstance(told, dict) else {}


def _is_ours(path: Path) -> bool:
    """Whether a socket of this user lies at `path`. A dead one shows when it is connected to."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISSOCK(status.st_mode) and status.st_uid == os.geteuid()


def _is_file(model: str) -> bool:
    """Whether a policy is named by its file, which the server would look for in a folder of its own."""
    return model.endswith(".gguf") or os.sep in model or Path(model).exists()


def _heard(answer: Iterable[bytes], hear: Callable[[Event], None]) -> Generation | None:
    """The generation that the last event holds; None where the stream ends without one, or begins with an error."""
    from edge_ttp.schema import Event

    begun = False
    for line in answer:
        if not line.startswith(b"data: "):
            continue
        data = line.removeprefix(b"data: ")
        told = json.loads(data)
        if "error" in told:
            if begun:
                raise _error(told["error"])
            return None
        begun = True
        event = Event.model_validate_json(data)
        if event.type == "done":
            return event.generation
        hear(event)
    return None


def _error(told: dict[str, Any]) -> EdgeTTPError:
    """The error that the server names, as this process would have raised it; ValueErrors excepted, see `generate`."""
    kinds = {kind.code: kind for kind in EdgeTTPError.__subclasses__()}
    return kinds.get(str(told["code"]), EdgeTTPError)(str(told["message"]), str(told["cure"]))
