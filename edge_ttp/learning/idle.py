"""Whether the device has nothing better to do: little processor time used by others, and mains power."""

from __future__ import annotations

import os

import psutil

BUSY_SHARE = 0.25
"""Part of the processors that other programs may use on a device that counts as idle."""


class Idle:
    """Looks at what other programs used since the last look."""

    def __init__(self) -> None:
        self._system, self._own = _used()

    def now(self) -> bool:
        """Whether others used less than BUSY_SHARE of the processors since the last call, and no battery is drained.

        Calls should be some tenths of a second apart; the first one looks back to the making of this object.
        """
        (used, total), own = _used()
        (used_before, total_before), own_before = self._system, self._own
        self._system, self._own = (used, total), own
        spent = total - total_before
        others = (used - used_before) - (own - own_before)
        battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
        drained = battery is not None and battery.power_plugged is False
        return not drained and (spent <= 0 or others < BUSY_SHARE * spent)


def _used() -> tuple[tuple[float, float], float]:
    """((busy, all) processor seconds of the device, processor seconds of this process)."""
    times = psutil.cpu_times()
    total = sum(times[: min(len(times), 8)])  # guest time, where it is listed, is in user time already
    waiting = times.idle + getattr(times, "iowait", 0.0)
    own = os.times()
    return (total - waiting, total), own.user + own.system
