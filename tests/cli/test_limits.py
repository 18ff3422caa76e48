"""A memory limit below the model's need ends in one line and exit code 5, never in a native abort."""

from __future__ import annotations

import resource
import subprocess
import sys
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

    done = subprocess.run(ASK, capture_output=True, text=True, preexec_fn=limit, timeout=300)
    assert done.returncode == 5, (done.returncode, done.stderr[-500:])
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("edge-ttp: ")]) == 1
