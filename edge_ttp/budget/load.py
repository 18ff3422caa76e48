"""How busy other processes keep the cores that this process may use: the host app's own work comes first."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass

import psutil

_SHORTEST_S = 0.1
"""Shorter intervals say little: the system counts in hundredths of a second."""
_LONGEST_S = 10.0
"""Longer intervals say how busy the machine was, not how busy it is."""
_STALE_S = 60.0
"""Age from which the last value is not used any more."""

_BUSY = ("user", "system", "irq", "softirq", "steal")
"""Not `nice`: what runs at low priority makes way by itself. Virtual machines are counted in user time already."""


@dataclass(frozen=True)
class _Reading:
    """Processor seconds spent since the machine, or this process, started."""

    at: float
    busy_s: float
    """By everybody on this process's cores; what a host took from a virtual machine included."""
    own_s: float
    cores: int


class LoadMeter:
    """Watches the others' load between its looks. Costs nothing in between; may be used from several threads."""

    def __init__(self) -> None:
        self._last = _read()
        self._value: float | None = None
        self._measured_at = 0.0
        self._lock = threading.Lock()

    def look(self) -> float | None:
        """Cores that others keep busy: since the last look, or as last known. None where nothing recent is known."""
        with self._lock:
            now = _read()
            if now is None or self._last is None:
                self._last = now
                return None
            passed = now.at - self._last.at
            if passed >= _SHORTEST_S:
                if passed <= _LONGEST_S:
                    busy = (now.busy_s - self._last.busy_s) - (now.own_s - self._last.own_s)
                    self._value = min(float(now.cores), max(0.0, busy / passed))
                    self._measured_at = now.at
                self._last = now
            return self._value if now.at - self._measured_at <= _STALE_S else None

    def sample(self, seconds: float) -> float | None:
        """The same, measured over the next `seconds`."""
        with self._lock:
            self._last = _read()
        time.sleep(seconds)
        return self.look()


def _read() -> _Reading | None:
    try:
        cores = os.sched_getaffinity(0)
    except (AttributeError, OSError):  # not on macOS and Windows
        cores = set(range(os.cpu_count() or 1))
    try:
        each = psutil.cpu_times(percpu=True)
        own = psutil.Process().cpu_times()
    except (AttributeError, OSError, RuntimeError, psutil.Error):
        return None
    used = [times for core, times in enumerate(each) if core in cores]
    busy = sum(getattr(times, name, 0.0) for times in used for name in _BUSY)
    return _Reading(time.monotonic(), float(busy), float(own.user + own.system), len(used))
