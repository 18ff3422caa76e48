"""A request answered by a running server of this home, whose models are in memory already, instead of by this process.

Whatever stands in the way (no server, another version, an option that it does not carry, a refusal) gives None: the
caller answers by itself then, and says what is wrong in its own words.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_ttp import __version__
from edge_ttp.errors import EdgeTTPError
from edge_ttp.paths import Paths, locate

if TYPE_CHECKING:
    import httpx

    from edge_ttp.schema import Event, Generation

_CONNECT_S = 1.0
_HANDSHAKE_S = 5.0
_SILENT_S = 60.0
"""Longest silence of a server that draws: it sends a comment every 5 seconds."""


def generate(user: str | None, wish: dict[str, Any], hear: Callable[[Event], None]) -> Generation | None:
    """The answer to `wish`, the JSON body of POST /ttp/v1/generate; None where no server of this home gives one.

    `hear` is given the events as they come. Ctrl-C closes the connection, which ends drawing within a step. Raises what
    the server says went wrong while it drew.
    """
    paths = locate()
    if not _is_ours(paths.server_socket):
        return None
    import httpx

    from edge_ttp.history.user import default_user, valid_user

    timeout = httpx.Timeout(_SILENT_S, connect=_CONNECT_S)
    transport = httpx.HTTPTransport(uds=str(paths.server_socket))
    try:
        with httpx.Client(transport=transport, base_url="http://owner", timeout=timeout, trust_env=False) as http:
            if not _fits(http):
                return None
            whose = default_user(paths) if user is None else valid_user(user)
            model = wish.get("model") or _default_policy(paths)
            if _is_file(model):
                return None
            body = {**wish, "model": model, "stream": True}
            with http.stream("POST", "/ttp/v1/generate", params={"user": whose}, json=body) as answer:
                return _heard(answer, hear) if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError):
        # ValueError: what JSON cannot hold, or an answer that is none. InvalidInput is one: the caller says it again.
        return None


def _is_ours(path: Path) -> bool:
    """Whether a socket of this user lies at `path`. A dead one shows when it is connected to."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISSOCK(status.st_mode) and status.st_uid == os.geteuid()


def _fits(http: httpx.Client) -> bool:
    """Whether the server is of this version and has the default reward model."""
    from edge_ttp.registry import DEFAULT_REWARD

    found = http.get("/ttp/v1/info", timeout=_HANDSHAKE_S)
    if found.status_code != 200:
        return False
    info = found.json()
    return isinstance(info, dict) and info.get("version") == __version__ and info.get("reward") == DEFAULT_REWARD


def _default_policy(paths: Paths) -> str:
    """The policy that is meant where none is named: the server may have been started with another."""
    from edge_ttp.registry import DEFAULT_POLICY
    from edge_ttp.settings import settings_in_force

    return settings_in_force(paths).model or DEFAULT_POLICY


def _is_file(model: str) -> bool:
    """Whether a policy is named by its file, which the server would look for in a folder of its own."""
    return model.endswith(".gguf") or os.sep in model or Path(model).exists()


def _heard(answer: httpx.Response, hear: Callable[[Event], None]) -> Generation | None:
    """The generation that the last event holds; None where the stream ends without one."""
    from edge_ttp.schema import Event

    for data in _messages(answer):
        told = json.loads(data)
        if "error" in told:
            raise _error(told["error"])
        event = Event.model_validate_json(data)
        if event.type == "done":
            return event.generation
        hear(event)
    return None


def _messages(answer: httpx.Response) -> Iterator[str]:
    """The data of each message of a stream."""
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield line.removeprefix("data: ")


def _error(told: dict[str, Any]) -> EdgeTTPError:
    """The error that the server names, as this process would have raised it; ValueErrors excepted, see `generate`."""
    kinds = {kind.code: kind for kind in EdgeTTPError.__subclasses__()}
    return kinds.get(str(told["code"]), EdgeTTPError)(str(told["message"]), str(told["cure"]))
