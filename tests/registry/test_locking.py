"""One process at a time: who waits is told once, may give up, and gets the lock of one that failed."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from edge_ttp.errors import Cancelled
from edge_ttp.registry.locking import exclusive


def test_the_second_waits_until_the_first_is_done_and_is_told_once(tmp_path: Path) -> None:
    path, order = tmp_path / "locks" / "tiny.lock", []
    waiting = threading.Event()

    def tell() -> None:
        order.append("waits")
        waiting.set()

    def second() -> None:
        with exclusive(path, tell):
            order.append("second")

    with exclusive(path):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(60)
        order.append("first")
    thread.join()
    assert order == ["waits", "first", "second"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_who_waits_can_give_up(tmp_path: Path) -> None:
    path, cancel = tmp_path / "tiny.lock", threading.Event()
    with (
        exclusive(path),
        pytest.raises(Cancelled, match="waiting for another process"),
        exclusive(path, cancel.set, cancel),
    ):
        raise AssertionError("it was held")
    with exclusive(path, cancel.clear, cancel):
        assert cancel.is_set()  # nobody had to wait


def test_a_block_that_fails_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "tiny.lock"
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), exclusive(path, lambda: pytest.fail("it was free")):
            raise ValueError("broken")
    if before:
        assert len(os.listdir("/proc/self/fd")) == before
