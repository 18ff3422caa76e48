"""The address of an engine that the user named: what it must look like, and what is said of it."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from edge_ttp.errors import InvalidInput

KEY_VARIABLE = "EDGE_TTP_POLICY_KEY"
"""Environment variable with the key that the engine asks for. Never part of an address, a record or a message."""

_CURE = "write it as http://127.0.0.1:8000/v1"
_LONGEST = 2000


@dataclass(frozen=True)
class EngineAddress:
    """Where an engine listens, checked."""

    url: str
    """Up to the part before /chat/completions, without a slash at its end."""
    local: bool
    """Whether it is on this machine."""
    encrypted: bool

    @classmethod
    def of(cls, text: str) -> EngineAddress:
        """The address that `text` is; `/v1` is added where it names no path.

        Raises InvalidInput for one that is no http(s) address, or that holds a login.
        """
        try:
            parts = urlsplit(text.strip())
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise InvalidInput(f"the policy's address is none: {error}", _CURE) from error
        if parts.scheme not in ("http", "https") or not host or len(text) > _LONGEST or not _plain(text.strip()):
            raise InvalidInput(f"{text[:80]!r} is no address of an engine", _CURE)
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise InvalidInput(
                "the policy's address holds a login or a query", f"put the key into {KEY_VARIABLE} and leave it out"
            )
        path = parts.path.rstrip("/") or "/v1"
        name = f"[{host}]" if ":" in host else host
        place = name if port is None else f"{name}:{port}"
        return cls(f"{parts.scheme}://{place}{path}", _is_local(host), parts.scheme == "https")

    @property
    def remark(self) -> str:
        """What every answer says of where it was drawn."""
        open_way = "" if self.local or self.encrypted else ", unencrypted"
        return f"drawn by the engine at {self.url}: the prompt with what it recalls was sent there{open_way}"


def engine_key(environment: Mapping[str, str] = os.environ) -> str | None:
    """The user's key for the engine; None where there is none."""
    return environment.get(KEY_VARIABLE, "").strip() or None


def _plain(text: str) -> bool:
    return text.isprintable() and not any(character.isspace() for character in text)


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
