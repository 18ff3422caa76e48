"""A lock on an open file: one holder, until it closes the file or dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from edge_ttp.system.file_lock import try_lock

HOLDER = """
import os, sys
from edge_ttp.system.file_lock import try_lock
handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
print(try_lock(handle), flush=True)
sys.stdin.readline()
"""


def test_one_holds_it_until_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first, second = (os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(2))
    assert try_lock(first)
    assert not try_lock(second)
    os.close(first)
    assert try_lock(second)
    os.close(second)


def test_it_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    handle = os.open(path, os.O_RDWR)
    assert not try_lock(handle)
    process.kill()
    process.communicate()
    assert try_lock(handle)
    os.close(handle)
