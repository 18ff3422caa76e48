"""What the parts of a running server share: the runtime, who may ask, what is under way."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.requests import Request

from edge_ttp.aio import AsyncRuntime
from edge_ttp.history.user import default_user
from edge_ttp.server.access import Access, Bearer
from edge_ttp.server.replies import Full


@dataclass
class State:
    """One running server."""

    runtime: AsyncRuntime
    access: Access
    most: int = 256
    """Requests that draw, under way or waiting."""
    bare_open: bool = True
    """Whether anybody may ask a bare policy: on loopback, where SDKs send any token."""
    owner_socket: bool = False
    """Whether this application is reached by the owner's socket alone."""
    instance: str = field(default_factory=lambda: secrets.token_hex(8))
    """Another one after every start: a restarted app must not talk to an old server."""
    started: float = field(default_factory=time.time)
    loading: bool = True
    """Until the default policy is in memory."""
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server is asked to end."""
    running: int = 0
    companions: list[State] = field(default_factory=list)
    """The same server as other sockets reach it."""

    def bearer(self, request: Request) -> Bearer | None:
        """Whoever asks. Raises HistoryUnavailable where the tokens cannot be read."""
        if self.owner_socket:
            return Bearer("owner", default_user(), exact=True)
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        return self.access.bearer(token.strip()) if kind.lower() == "bearer" else None

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Counts a request that draws. Raises Full."""
        if self.running >= self.most:
            raise Full
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
