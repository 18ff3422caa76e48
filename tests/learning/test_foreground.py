"""Requests have right of way, whichever process they come from."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from edge_ttp.learning.foreground import Foreground

HOLDER = """
import sys
from pathlib import Path
from edge_ttp.learning.foreground import Foreground
with Foreground(Path(sys.argv[1])).active():
    print("active", flush=True)
    sys.stdin.readline()
"""


def test_a_request_of_this_process_is_seen_while_it_runs(tmp_path: Path) -> None:
    foreground = Foreground(tmp_path / "cache" / "lock")
    assert not foreground.busy()
    with foreground.active(), foreground.active():
        assert foreground.busy()
        assert Foreground(tmp_path / "cache" / "lock").busy()
    assert not foreground.busy()


def test_a_request_of_another_process_is_seen_until_it_ends_or_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for killed in (False, True):
        command = [sys.executable, "-c", HOLDER, str(path)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "active\n"
        assert Foreground(path).busy()
        if killed:
            process.kill()
        else:
            process.stdin.write("\n")
        process.communicate()
        assert not Foreground(path).busy()


def test_looking_never_keeps_a_request_waiting(tmp_path: Path) -> None:
    foreground, done = Foreground(tmp_path / "lock"), threading.Event()

    def look() -> None:
        while not done.is_set():
            foreground.busy()

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(200):
            with foreground.active():
                assert foreground.busy()
    finally:
        done.set()
        watcher.join()


def test_a_folder_that_cannot_be_written_leaves_this_processes_own_requests(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    foreground = Foreground(tmp_path / "file" / "lock")
    assert not foreground.busy()
    with foreground.active():
        assert foreground.busy()
