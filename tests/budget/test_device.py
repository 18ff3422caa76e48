"""What this machine has: the real one, and made-up limits of containers, address space and batteries."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from edge_ttp.budget import device

GIB = 2**30


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cgroup folder without any limit yet."""
    monkeypatch.setattr(device, "_CGROUP", tmp_path)
    return tmp_path


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")


def test_a_look_at_this_machine_is_plausible() -> None:
    found = device.inspect()
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert 0 < found.memory_available <= found.memory_total
    assert found.energy in ("mains", "battery", "saver")


def test_cores_are_those_the_process_may_use(cgroup: Path) -> None:
    code = (
        "import os\n"
        "from edge_ttp.budget.device import cores\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "print(cores())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
    assert device.cores() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", 8), ("200000 100000", 2), ("350000 100000", 3), ("50000", 1)]
)
def test_a_containers_quota_limits_the_cores(
    cgroup: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    write(cgroup, cpu_dot_max=quota)
    assert device.cores() == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("300000", 3)])
def test_an_older_containers_quota_limits_the_cores(
    cgroup: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    write(cgroup, cpu__cpu_dot_cfs_quota_us=quota, cpu__cpu_dot_cfs_period_us="100000")
    assert device.cores() == cores


def test_cores_are_counted_where_there_is_no_affinity(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert device.cores() >= 1


def available(monkeypatch: pytest.MonkeyPatch, amount: int) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=amount, total=2 * amount))


def test_a_containers_memory_limit_counts_where_it_is_lower(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    available(monkeypatch, 8 * GIB)
    write(cgroup, memory_dot_max=str(3 * GIB), memory_dot_current=str(1 * GIB))
    assert device.available_memory() == 2 * GIB
    available(monkeypatch, GIB)
    assert device.available_memory() == GIB


def test_an_older_containers_memory_limit_counts(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    available(monkeypatch, 8 * GIB)
    write(
        cgroup,
        memory__memory_dot_limit_in_bytes=str(3 * GIB),
        memory__memory_dot_usage_in_bytes=str(4 * GIB),
    )
    assert device.available_memory() == 0


@pytest.mark.parametrize("limit", ["max", str(2**63 - 4096), "nonsense"])
def test_no_memory_limit_is_no_limit(cgroup: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    available(monkeypatch, 8 * GIB)
    write(cgroup, memory_dot_max=limit, memory_dot_current="1000")
    assert device.available_memory() == 8 * GIB


def test_a_limit_of_the_address_space_counts() -> None:
    code = (
        "import psutil, resource\n"
        "from edge_ttp.budget import device\n"
        "limit = psutil.Process().memory_info().vms + 100 * 2**20\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "print(device.available_memory() <= 100 * 2**20)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize(
    ("percent", "plugged", "energy"),
    [(80, False, "battery"), (20, False, "battery"), (19, False, "saver"), (5, True, "mains"), (50, None, "mains")],
)
def test_energy_follows_the_battery(
    monkeypatch: pytest.MonkeyPatch, percent: int, plugged: bool | None, energy: str
) -> None:
    battery = SimpleNamespace(percent=percent, power_plugged=plugged)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    assert device.energy() == energy


@pytest.mark.parametrize("failure", [AttributeError, OSError, RuntimeError])
def test_a_machine_that_tells_nothing_of_a_battery_is_on_mains(
    monkeypatch: pytest.MonkeyPatch, failure: type[Exception]
) -> None:
    def fail() -> None:
        raise failure

    monkeypatch.setattr(psutil, "sensors_battery", fail, raising=False)
    assert device.energy() == "mains"
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None, raising=False)
    assert device.energy() == "mains"


# Heat, battery level and GPUs


def sensors(monkeypatch: pytest.MonkeyPatch, **chips: list[tuple[float | None, float | None]]) -> None:
    found = {
        name: [SimpleNamespace(current=current, high=high) for current, high in readings]
        for name, readings in chips.items()
    }
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: found, raising=False)


@pytest.mark.parametrize(
    ("readings", "degrees", "hot"),
    [
        ([(50.0, 100.0), (61.0, 100.0)], 61.0, False),
        ([(99.0, 100.0), (100.0, 100.0)], 100.0, True),
        ([(91.0, None)], 91.0, True),
        ([(89.0, 0.0)], 89.0, False),
        ([(-270.0, 100.0), (65261.8, 100.0), (None, None)], None, False),
    ],
)
def test_heat_is_the_hottest_of_the_processors_sensors(
    monkeypatch: pytest.MonkeyPatch, readings: list[tuple[float | None, float | None]], degrees: float, hot: bool
) -> None:
    sensors(monkeypatch, coretemp=readings, nvme=[(120.0, 80.0)])
    assert device.heat() == (degrees, hot)


@pytest.mark.parametrize("failure", [AttributeError, OSError, RuntimeError, ValueError])
def test_a_machine_without_sensors_is_not_hot(monkeypatch: pytest.MonkeyPatch, failure: type[Exception]) -> None:
    def fail() -> None:
        raise failure

    monkeypatch.setattr(psutil, "sensors_temperatures", fail, raising=False)
    assert device.heat() == (None, False)


def test_the_batterys_level_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    battery = SimpleNamespace(percent=37, power_plugged=False)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    assert device.battery_percent() == 37.0
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None, raising=False)
    assert device.battery_percent() is None


def test_gpus_are_those_that_the_kernel_and_the_drivers_tool_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "card1" / "device"
    folder.mkdir(parents=True)
    (folder / "mem_info_vram_total").write_text(str(8 * GIB))
    (folder / "mem_info_vram_used").write_text(str(3 * GIB))
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'Some GPU, 1024, 1000'\necho 'Broken GPU, [N/A], [N/A]'\n")
    tool.chmod(0o755)
    monkeypatch.setattr(device, "_DRM", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = device.gpus()
    assert [(one.name, one.memory_total, one.memory_free) for one in found] == [
        ("card1", 8 * GIB, 5 * GIB),
        ("Some GPU", GIB, 1000 * 2**20),
    ]


def test_a_drivers_tool_that_fails_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nexit 9\n")
    tool.chmod(0o755)
    monkeypatch.setattr(device, "_DRM", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert device.gpus() == ()


def test_a_container_whose_quota_is_nonsense_has_no_quota(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    write(cgroup, cpu_dot_max="a lot")
    assert device.cores() == 8


def test_the_groups_inside_which_a_process_runs_limit_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.write_text("4:memory:/app/worker\n3:cpu,cpuacct:/\n0::/\n")
    monkeypatch.setattr(device, "_CGROUP", tmp_path)
    monkeypatch.setattr(device, "_OWN_GROUP", own)
    for name, limit, usage in (("memory", 2**62, 10), ("memory/app", 500, 200), ("memory/app/worker", 400, 390)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "memory.limit_in_bytes").write_text(f"{limit}\n")
        (tmp_path / name / "memory.usage_in_bytes").write_text(f"{usage}\n")
    assert device.available_memory() == 10
    (tmp_path / "memory/app/worker/memory.stat").write_text("cache 380\ntotal_inactive_file 340\n")
    assert device.available_memory() == 300  # what the group around it leaves
