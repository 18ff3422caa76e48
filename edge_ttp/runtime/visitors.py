"""Who is inside a runtime: it closes behind the last request, and gives memory back when none has come for long."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edge_ttp.errors import InvalidInput


class Visitors:
    """Counts the requests inside. Safe to use from several threads, and from inside a request."""

    def __init__(self, idle_s: float | None, unload: Callable[[], None]) -> None:
        """`unload` is called when nobody has been inside for `idle_s` seconds (None: never)."""
        self._changed = threading.Condition(threading.RLock())  # a finalizer may run inside a block of this thread
        self._inside: Counter[int] = Counter()  # by thread
        self._shut = False
        self._idle_s, self._unload = idle_s, unload
        self._timer: threading.Timer | None = None
        self._process = os.getpid()

    @property
    def count(self) -> int:
        """Requests inside."""
        return self._inside.total()

    @property
    def elsewhere(self) -> bool:
        """Whether this is a process forked from the one that opened the runtime."""
        return os.getpid() != self._process

    def check(self) -> None:
        """Raises InvalidInput where nobody may come in: after `shut`, and in a forked child."""
        if self.elsewhere:
            raise InvalidInput(
                "this runtime was opened before the process forked", "open another with Runtime.open in the child"
            )
        if self._shut:
            raise InvalidInput("the runtime was closed", "open another with Runtime.open")

    @contextmanager
    def visit(self, *, last: Callable[[], object]) -> Iterator[None]:
        """A request is inside while the block runs; `last` is called by the last to leave after `shut`."""
        self.check()
        here = threading.get_ident()  # of who came in: an async request may leave on another thread
        with self._changed:
            self.check()
            self._inside[here] += 1
            self._stop_timer()
        try:
            yield
        finally:
            with self._changed:
                self._inside[here] -= 1
                if not self._inside[here]:
                    del self._inside[here]
                closes = self._shut and not self._inside
                if not self._inside and not self._shut:
                    self._start_timer()
                self._changed.notify_all()
            if closes:
                last()

    def shut(self) -> None:
        """Lets nobody in any more."""
        with self._changed:
            self._shut = True
            self._stop_timer()

    def wait(self, timeout: float | None) -> bool:
        """Whether all have gone, within `timeout` seconds. Who is inside does not wait for themselves."""
        with self._changed:
            if self._inside[threading.get_ident()]:
                return False
            return self._changed.wait_for(lambda: not self._inside, timeout)

    def _start_timer(self) -> None:
        if self._idle_s is not None:
            self._timer = threading.Timer(self._idle_s, self._when_idle)
            self._timer.daemon = True
            self._timer.start()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _when_idle(self) -> None:
        with self._changed:
            if self._inside or self._shut or threading.current_thread() is not self._timer:
                return
            self._timer = None
            self._unload()
