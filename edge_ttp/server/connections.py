"""Connections as uvicorn's h11 protocol has them, but a request's head has to come in bounded time.

uvicorn times what is idle after an answer, not a head that comes a byte a minute: such connections would be held for
good, until no more can be opened (slowloris).
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_WAIT_S = 20.0
"""Longest time from a connection, or from the first byte of a further request, to the end of the request's head."""


class PatientProtocol(H11Protocol):
    """Closes what takes longer than HEAD_WAIT_S."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A connection that says nothing is not kept either."""
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        """Some more of a request."""
        super().data_received(data)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        super().connection_lost(exc)
        self._stop()

    def _look(self) -> None:
        """The clock runs from the first byte on, however many more come, until the head is whole."""
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_later(HEAD_WAIT_S, self._give_up)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        self._late = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.close()
