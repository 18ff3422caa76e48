"""Requests have right of way, whichever process they come from."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge_ttp.learning import idle
from edge_ttp.learning.foreground import Foreground
from edge_ttp.learning.idle import Idle

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


@pytest.mark.parametrize(("others", "is_idle"), [(0.1, True), (0.24, True), (0.26, False), (1.0, False)])
def test_a_device_is_idle_while_others_use_little_of_it(
    monkeypatch: pytest.MonkeyPatch, others: float, is_idle: bool
) -> None:
    readings = iter([((100.0, 1000.0), 50.0), ((100.0 + 8 + 20 * others, 1020.0), 58.0)])
    monkeypatch.setattr(idle, "_used", lambda: next(readings))
    monkeypatch.setattr(idle.psutil, "sensors_battery", lambda: None, raising=False)
    assert Idle().now() is is_idle


def test_a_device_on_battery_is_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    class Battery:
        power_plugged = False

    monkeypatch.setattr(idle.psutil, "sensors_battery", Battery, raising=False)
    monkeypatch.setattr(idle, "_used", lambda: ((0.0, 0.0), 0.0))
    assert not Idle().now()


def test_processor_time_is_read() -> None:
    (used, total), own = idle._used()
    assert 0 < used <= total
    assert own > 0
