"""What this machine has to give right now: cores, memory, power, heat. Every reading is optional and never an error."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from edge_ttp.schema import Energy

_CGROUP = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")
_DRM = Path("/sys/class/drm")
_UNLIMITED = 2**60  # cgroup v1 writes a huge number for "no limit"


_CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu", "soc", "acpitz")
_HOT_C = 90.0
"""Temperature that counts as hot where the sensor does not say what is."""
_PLAUSIBLE_C = (1.0, 150.0)
_SMI_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Gpu:
    """A GPU's memory in bytes."""

    name: str
    memory_total: int
    memory_free: int


@dataclass(frozen=True)
class Device:
    """One look at the machine. What cannot be read is None (or no GPU, or no limit)."""

    cores: int
    """Cores that this process may use: affinity and cgroup quota taken into account."""
    load_by_others: float | None
    """How many of these cores other processes kept busy just now."""
    memory_available: int
    """Bytes that can still be taken: physical memory, cgroup limit and address-space limit taken into account."""
    memory_total: int
    energy: Energy
    """battery below a fifth counts as saver."""
    battery_percent: float | None
    temperature_c: float | None
    """The hottest of the processor's sensors."""
    hot: bool
    """Whether a sensor is at its own upper limit: the machine slows down, or is about to."""
    gpus: tuple[Gpu, ...]


def inspect() -> Device:
    """The state of this machine now. Takes a tenth of a second, during which the others' load is measured."""
    from edge_ttp.budget.load import LoadMeter

    meter = LoadMeter()
    memory = psutil.virtual_memory()
    temperature, hot = heat()
    return Device(
        cores=cores(),
        load_by_others=meter.sample(0.1),
        memory_available=available_memory(),
        memory_total=int(memory.total),
        energy=energy(),
        battery_percent=battery_percent(),
        temperature_c=temperature,
        hot=hot,
        gpus=gpus(),
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


def own_memory() -> int:
    """Bytes of the machine's memory that this process takes."""
    return int(psutil.Process().memory_info().rss)


def energy() -> Energy:
    """Where the power comes from. Machines without a battery are on mains."""
    battery = _battery()
    if battery is None or battery.power_plugged or battery.power_plugged is None:
        return "mains"
    return "saver" if battery.percent < 20 else "battery"


def battery_percent() -> float | None:
    """How full the battery is, 0 to 100; None without one."""
    battery = _battery()
    return None if battery is None else float(battery.percent)


def heat() -> tuple[float | None, bool]:
    """Degrees Celsius of the hottest processor sensor, None without one; and whether one is at its upper limit."""
    try:
        chips = psutil.sensors_temperatures()
    except (AttributeError, OSError, RuntimeError, ValueError):
        return None, False
    hottest, hot = None, False
    for name, sensors in chips.items():
        if not any(part in name.lower() for part in _CPU_SENSORS):
            continue
        for sensor in sensors:
            if sensor.current is None or not _PLAUSIBLE_C[0] <= sensor.current <= _PLAUSIBLE_C[1]:
                continue
            hottest = sensor.current if hottest is None else max(hottest, sensor.current)
            limit = sensor.high if sensor.high and 40 <= sensor.high <= _PLAUSIBLE_C[1] else _HOT_C
            hot = hot or sensor.current >= limit
    return (None if hottest is None else float(hottest)), hot


def gpus() -> tuple[Gpu, ...]:
    """GPUs whose memory can be read: AMD's by the kernel's files, NVIDIA's by nvidia-smi where it is installed."""
    cards = []
    for folder in sorted(_DRM.glob("card[0-9]*/device")):
        total, used = _number(folder / "mem_info_vram_total"), _number(folder / "mem_info_vram_used")
        if total and used is not None:
            cards.append(Gpu(folder.parent.name, total, max(0, total - used)))
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return tuple(cards)
    query = [tool, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        lines = subprocess.run(query, capture_output=True, text=True, timeout=_SMI_TIMEOUT_S, check=True).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return tuple(cards)
    for line in lines.splitlines():
        name, *amounts = [part.strip() for part in line.split(",")]
        if len(amounts) == 2 and all(amount.isdigit() for amount in amounts):
            cards.append(Gpu(name, int(amounts[0]) * 2**20, int(amounts[1]) * 2**20))
    return tuple(cards)


def _battery() -> Any:
    try:
        return psutil.sensors_battery()
    except (AttributeError, OSError, RuntimeError):
        return None


def _cgroup_cores() -> float | None:
    text = _read(_CGROUP / "cpu.max")
    if text is not None:
        quota, _, period = text.partition(" ")
        if not quota.isdigit() or not (period or "100000").isdigit():  # "max" is no limit
            return None
        return int(quota) / max(1, int(period or 100_000))
    quota_us = _number(_CGROUP / "cpu/cpu.cfs_quota_us")
    period_us = _number(_CGROUP / "cpu/cpu.cfs_period_us")
    return quota_us / period_us if quota_us and quota_us > 0 and period_us else None


def _cgroup_free() -> int | None:
    """Bytes that the control groups of this process leave, None without a limit. Files in the cache count as free."""
    free: list[int] = []
    for root, controller, limit_name, usage_name, cached_name in (
        (_CGROUP, "", "memory.max", "memory.current", "inactive_file"),
        (_CGROUP / "memory", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        for group in _own_groups(root, controller):
            limit, usage = _number(group / limit_name), _number(group / usage_name)
            if limit is not None and usage is not None and limit < _UNLIMITED:
                free.append(max(0, limit - max(0, usage - _statistic(group / "memory.stat", cached_name))))
    return min(free, default=None)


def _own_groups(root: Path, controller: str) -> list[Path]:
    """The folders of this process's control group and of those around it, for a controller ("": version 2)."""
    groups = [root]
    for line in (_read(_OWN_GROUP) or "").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controller in controllers.split(","):
            inner = root / path.lstrip("/")
            groups += [inner, *(one for one in inner.parents if one.is_relative_to(root))]
    return list(dict.fromkeys(groups))


def _statistic(file: Path, name: str) -> int:
    for line in (_read(file) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return 0


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
