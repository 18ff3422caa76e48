"""What this machine has to give right now: cores, memory, power. Every reading is optional and never an error."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from edge_ttp.schema import Energy

_CGROUP = Path("/sys/fs/cgroup")
_UNLIMITED = 2**60  # cgroup v1 writes a huge number for "no limit"


@dataclass(frozen=True)
class Device:
    """One look at the machine."""

    cores: int
    """Cores that this process may use: affinity and cgroup quota taken into account."""
    memory_available: int
    """Bytes that can still be taken: physical memory, cgroup limit and address-space limit taken into account."""
    memory_total: int
    energy: Energy
    """battery below a fifth counts as saver."""


def inspect() -> Device:
    """The state of this machine now."""
    memory = psutil.virtual_memory()
    return Device(
        cores=cores(),
        memory_available=available_memory(),
        memory_total=int(memory.total),
        energy=energy(),
    )


def cores() -> int:
    """Cores this process may use, at least 1."""
    try:
        count = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not on macOS and Windows
        count = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    quota = _cgroup_cores()
    return max(1, count if quota is None else min(count, int(quota)))


def available_memory() -> int:
    """Bytes this process can still take before it swaps, is killed, or an allocation fails."""
    limits = [int(psutil.virtual_memory().available)]
    for free in (_cgroup_free(), _address_space_free()):
        if free is not None:
            limits.append(free)
    return max(0, min(limits))


def energy() -> Energy:
    """Where the power comes from. Machines without a battery are on mains."""
    try:
        battery = psutil.sensors_battery()
    except (AttributeError, OSError, RuntimeError):
        return "mains"
    if battery is None or battery.power_plugged or battery.power_plugged is None:
        return "mains"
    return "saver" if battery.percent < 20 else "battery"


def _cgroup_cores() -> float | None:
    text = _read(_CGROUP / "cpu.max")
    if text is not None:
        quota, _, period = text.partition(" ")
        return None if quota == "max" else int(quota) / int(period or 100_000)
    quota_us = _number(_CGROUP / "cpu/cpu.cfs_quota_us")
    period_us = _number(_CGROUP / "cpu/cpu.cfs_period_us")
    return quota_us / period_us if quota_us and quota_us > 0 and period_us else None


def _cgroup_free() -> int | None:
    for limit_file, usage_file in (
        (_CGROUP / "memory.max", _CGROUP / "memory.current"),
        (_CGROUP / "memory/memory.limit_in_bytes", _CGROUP / "memory/memory.usage_in_bytes"),
    ):
        limit, usage = _number(limit_file), _number(usage_file)
        if limit is not None and usage is not None and limit < _UNLIMITED:
            return max(0, limit - usage)
    return None


def _address_space_free() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return None
    return max(0, int(soft) - int(psutil.Process().memory_info().vms))


def _number(path: Path) -> int | None:
    text = _read(path)
    return int(text) if text is not None and text.lstrip("-").isdigit() else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
