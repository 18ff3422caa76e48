"""Something loaded when it is first needed, once, whichever thread needs it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_Loaded = TypeVar("_Loaded")

_POLL_S = 0.02


class Once(Generic[_Loaded]):
    """Holds what `load` gives, from the first time it is asked for."""

    def __init__(self, load: Callable[[], _Loaded]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._value: _Loaded | None = None

    def get(self, check: Callable[[], None] = lambda: None) -> _Loaded:
        """The value, loaded now if it was not yet. A failure is raised and tried again next time.

        `check` is called now and then while another thread loads it, and may raise to give up.
        """
        while not self._lock.acquire(timeout=_POLL_S):
            check()
        try:
            if self._value is None:
                self._value = self._load()
            return self._value
        finally:
            self._lock.release()

    def loaded(self) -> _Loaded | None:
        """The value if it was loaded."""
        return self._value
