"""A memory limit below the model's need ends in one line and exit code 5, never in a native abort."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakes.real import spare_measuring

pytestmark = [pytest.mark.real, pytest.mark.slow]

ASK = (sys.executable, "-m", "edge_ttp", "generate", "hello", "--n", "1", "--max-tokens", "4", "--select", "consensus")


@pytest.mark.parametrize("kib", [150_000, 200_000, 250_000, 300_000, 350_000, 400_000])
def test_an_address_space_below_the_need_is_exit_code_5(models_home: Path, kib: int) -> None:
    spare_measuring(models_home)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (kib * 1024, kib * 1024))

    refused(subprocess.run(ASK, capture_output=True, text=True, preexec_fn=limit, timeout=300))


def refused(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 5, (done.returncode, done.stderr[-500:])
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("edge-ttp: ")]) == 1


@contextmanager
def control_group() -> Iterator[Path | None]:
    """A control group inside this process's own, whose memory may be limited; None where that is not allowed."""
    made = None
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        root = {"memory": "/sys/fs/cgroup/memory", "": "/sys/fs/cgroup"}.get(controllers)
        own = Path(f"{root}{path}")
        if root is None or not any((own / name).exists() for name in LIMITS):
            continue
        try:
            made = Path(tempfile.mkdtemp(prefix="edge-ttp-", dir=own))
            break
        except OSError:
            continue
    try:
        yield made if made is not None and any((made / name).exists() for name in LIMITS) else None
    finally:
        if made is not None:
            made.rmdir()


LIMITS = ("memory.max", "memory.limit_in_bytes")
"""The files of a control group's limit, in versions 2 and 1."""


@pytest.mark.parametrize("mib", [120, 160, 200, 230])
def test_a_control_group_below_the_need_is_exit_code_5_and_not_a_kill(models_home: Path, mib: int) -> None:
    spare_measuring(models_home)
    with control_group() as group:
        if group is None:  # an ordinary user's: what is read of one is shown by tests/budget/test_device.py
            pytest.skip("no control group may be made here")
        limit = next(group / name for name in LIMITS if (group / name).exists())
        limit.write_text(str(mib << 20))

        def enter() -> None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

        ask = [*ASK[:-1], "lcb", "--n", "2"]
        done = subprocess.run(ask, capture_output=True, text=True, preexec_fn=enter, timeout=300)
    if mib < 170 or done.returncode != 0:  # above, it fits where the file's pages are another group's
        refused(done)
