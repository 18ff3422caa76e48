"""Freed memory goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from edge_ttp.system.freed import give_back

MEASURED = """
import psutil
from edge_ttp.system.freed import give_back
held = [bytes(60_000) for _ in range(1000)]  # below the size that glibc takes from the system piece by piece
last = bytes(60_000)  # keeps the top of the heap in use
del held
before = psutil.Process().memory_info().rss
give_back()
print(before - psutil.Process().memory_info().rss)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems give back by themselves")
def test_what_was_freed_in_small_pieces_leaves_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 20e6


def test_it_can_be_asked_for_at_any_time() -> None:
    before = psutil.Process().memory_info().rss
    for _ in range(3):
        give_back()
    assert psutil.Process().memory_info().rss < before + 20e6
