"""First come, first served: the one policy in memory serves one call at a time, in the order they asked."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from edge_ttp.errors import Cancelled, DeadlineTooShort

_POLL_S = 0.02  # how soon a cancel is seen while waiting


class Turns:
    """A fair lock whose waiters can be cancelled and have deadlines."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._queue: deque[object] = deque()

    @contextmanager
    def take(self, *, deadline: float | None = None, cancel: threading.Event | None = None) -> Iterator[None]:
        """Holds the turn while the block runs. `deadline` is a moment of time.monotonic.

        Raises DeadlineTooShort or Cancelled where the turn does not come in time.
        """
        ticket = object()
        with self._condition:
            self._queue.append(ticket)
            try:
                while self._queue[0] is not ticket:
                    self._condition.wait(_POLL_S if cancel is not None else self._patience(deadline))
                    if cancel is not None and cancel.is_set():
                        raise Cancelled("cancelled while waiting for an earlier request")
                    if deadline is not None and time.monotonic() > deadline:
                        raise DeadlineTooShort(
                            "the deadline passed while an earlier request was running", "allow more time"
                        )
            except BaseException:
                self._leave(ticket)
                raise
        try:
            yield
        finally:
            with self._condition:
                self._leave(ticket)

    def waiting(self) -> int:
        """Calls that hold or wait for the turn."""
        with self._condition:
            return len(self._queue)

    def _patience(self, deadline: float | None) -> float | None:
        return None if deadline is None else max(0.0, deadline - time.monotonic()) + 0.001

    def _leave(self, ticket: object) -> None:
        self._queue.remove(ticket)
        self._condition.notify_all()
