"""A request answered by a running server of this home, whose models are in memory already, instead of by this process.

Whatever stands in the way (no server, another version, an option that it does not carry, a refusal) gives None: the
caller answers by itself then, and says what is wrong in its own words. This module imports little, on purpose: a client
library would take longer to load than the server to answer.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from edge_ttp import __version__
from edge_ttp.errors import EdgeTTPError
from edge_ttp.paths import locate
from edge_ttp.system.settings import FALLBACK_USER, settings_in_force

if TYPE_CHECKING:
    from pathlib import Path

    from edge_ttp.schema import Event, Generation, Rewritten

Told = dict[str, Any]
"""An event as the server tells it: JSON."""

_HANDSHAKE_S = 5.0
_SILENT_S = 60.0
"""Longest silence of a server that draws: it sends a comment every 5 seconds."""
_BEGUN: ContextVar[tuple[bytes, Iterator[Told]] | None] = ContextVar("begun", default=None)
"""A request that was sent before the command line was read in full, and what is told of it."""


def generate(user: str | None, wish: dict[str, Any], hear: Callable[[Event], None]) -> Generation | None:
    """The answer to `wish`, the JSON body of POST /ttp/v1/generate; None where no server of this home gives one.

    `hear` is given the events as they come. Ctrl-C closes the connection, which ends drawing within a step. Raises what
    the server says went wrong while it drew.
    """
    from edge_ttp.schema import Generation

    found = _last("generate", user, wish, hear)
    return None if found is None else Generation.model_validate(found["generation"])


def rewrite(user: str | None, wish: dict[str, Any], hear: Callable[[Event], None]) -> Rewritten | None:
    """As `generate`, for POST /ttp/v1/rewrite."""
    from edge_ttp.schema import Rewritten

    found = _last("rewrite", user, wish, hear)
    return None if found is None else Rewritten.model_validate(found["rewritten"])


def begin(what: str, user: str | None, wish: dict[str, Any]) -> bool:
    """Sends a request now, for whoever calls `events` with the same words later. Whether a server took it."""
    sent = events(what, user, wish)
    if sent is None:
        return False
    _BEGUN.set((_body(user, wish), sent))
    return True


def events(what: str, user: str | None, wish: dict[str, Any]) -> Iterator[Told] | None:
    """What the server tells of the request `wish` to POST /ttp/v1/`what`, as it comes; None where none takes it.

    The iterator raises what the server says went wrong while it drew, and ends early where the server goes.
    """
    begun = _BEGUN.get()
    if begun is not None:
        _BEGUN.set(None)
        if begun[0] == _body(user, wish):
            return begun[1]
        begun[1].close()  # type: ignore[attr-defined]  # a generator: this closes its connection
    paths = locate()
    if not _is_ours(paths.server_socket):
        return None
    try:
        with closing(_Answer(paths.server_socket, "GET", "/ttp/v1/info")) as asked:
            info = json.loads(asked.read()) if asked.status == 200 else None
        if not isinstance(info, dict) or info.get("version") != __version__ or info.get("default_reward") is not True:
            return None
        if info.get("policy_url") is not None:  # whoever asks here has not said that anything may be sent elsewhere
            return None
        # The server's own user and policy may be others: both are named as they are meant here.
        configured = settings_in_force(paths)
        model = wish.get("model") or configured.model or str(info["policy"])
        if _is_file(model):
            return None
        whose = user if user is not None else configured.user or FALLBACK_USER
        place = f"/ttp/v1/{what}?user=" + "".join(f"%{one:02X}" for one in whose.encode())
        answer = _Answer(paths.server_socket, "POST", place, json.dumps({**wish, "model": model, "stream": True}))
        if answer.status != 200:
            answer.close()
            return None
        return _told(answer)
    except (OSError, ValueError, KeyError):
        # ValueError: what JSON cannot hold, or an answer that is none. InvalidInput is one: the caller says it again.
        return None


def may_be_there() -> bool:
    """Whether this home's socket is there, be it a dead one."""
    return _is_ours(locate().server_socket)


class _Answer:
    """What the owner's socket answers to one request. HTTP/1.0: the body is whatever comes until the end."""

    def __init__(self, path: Path, method: str, place: str, body: str = "") -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(_HANDSHAKE_S)
            self._socket.connect(str(path))
            data = body.encode()
            head = f"{method} {place} HTTP/1.0\r\nhost: owner\r\ncontent-type: application/json\r\n"
            self._socket.sendall(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
            self._socket.settimeout(_SILENT_S)
            self._file = self._socket.makefile("rb")
            words = self._file.readline().split()
            self.status = int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/1.") else 0
            while self._file.readline().strip():
                pass
        except BaseException:
            self._socket.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._file)

    def read(self) -> bytes:
        """The whole body."""
        return self._file.read()

    def close(self) -> None:
        """Hangs up."""
        self._file.close()
        self._socket.close()


def _body(user: str | None, wish: dict[str, Any]) -> bytes:
    return json.dumps([user, wish], sort_keys=True, default=str).encode("utf-8", "surrogatepass")


def _is_ours(path: Path) -> bool:
    """Whether a socket of this user lies at `path`. A dead one shows when it is connected to."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISSOCK(status.st_mode) and status.st_uid == os.geteuid()


def _is_file(model: str) -> bool:
    """Whether a policy is named by its file, which the server would look for in a folder of its own."""
    return model.endswith(".gguf") or os.sep in model or os.path.exists(model)


def _told(answer: _Answer) -> Iterator[Told] | None:
    """The events behind the first one; None where there is none, or it is an error: nothing was drawn then."""
    lines = _parsed(answer)
    first = next(lines, None)
    if first is None or "error" in first:
        answer.close()
        return None

    def following() -> Iterator[Told]:
        with closing(answer):
            yield first
            try:
                for told in lines:
                    if "error" in told:
                        raise _error(told["error"])
                    yield told
            except (OSError, json.JSONDecodeError):
                return  # it is gone

    return following()


def _parsed(lines: Iterator[bytes] | _Answer) -> Iterator[Told]:
    for line in lines:
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


def _last(what: str, user: str | None, wish: dict[str, Any], hear: Callable[[Event], None]) -> Told | None:
    """The event that carries the whole result, the others heard; None where there is no server or it went."""
    told = events(what, user, wish)
    if told is None:
        return None
    from edge_ttp.schema import Event

    for one in told:
        if is_whole(what, one):
            return one
        if one["type"] != "done":
            hear(Event.model_validate(one))
    return None


def is_whole(what: str, event: Told) -> bool:
    """Whether this event ends the request and carries its result."""
    return str(event["type"]) == ("rewritten" if what == "rewrite" else "done")


def _error(error: dict[str, Any]) -> EdgeTTPError:
    """The error that the server names, as this process would have raised it; ValueErrors excepted, see `generate`."""
    kinds = {kind.code: kind for kind in EdgeTTPError.__subclasses__()}
    return kinds.get(str(error["code"]), EdgeTTPError)(str(error["message"]), str(error["cure"]))
