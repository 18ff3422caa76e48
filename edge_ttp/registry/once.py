"""Something loaded when it is first needed, once, whichever thread needs it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_Loaded = TypeVar("_Loaded")


class Once(Generic[_Loaded]):
    """Holds what `load` gives, from the first time it is asked for."""

    def __init__(self, load: Callable[[], _Loaded]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._value: _Loaded | None = None

    def get(self) -> _Loaded:
        """The value, loaded now if it was not yet. A failure is raised and tried again next time."""
        with self._lock:
            if self._value is None:
                self._value = self._load()
            return self._value

    def loaded(self) -> _Loaded | None:
        """The value if it was loaded."""
        return self._value
