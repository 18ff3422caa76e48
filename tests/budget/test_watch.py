"""A policy's profile while it is used: measured once, corrected by calls, threads that make way for others."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from budget.test_device_profile import PROFILE, call
from edge_ttp.budget import device
from edge_ttp.budget.device_profile import Profiles
from edge_ttp.budget.timed import Timed
from edge_ttp.budget.watch import Watch


class Timer:
    """A policy that times itself: twice as fast with two threads."""

    def __init__(self) -> None:
        self.asked: list[tuple[int | None, bool]] = []

    def measure(
        self, threads: int | None = None, *, thorough: bool = False, cancel: threading.Event | None = None
    ) -> Timed:
        self.asked.append((threads, thorough))
        part = 1.0 / (threads or 1)
        chunks = ((128, 0, part), (128, 128, 1.05 * part), (16, 128, 0.3 * part))
        return Timed(threads or 1, chunks, tuple((rows, 256, (0.1 + 0.01 * rows) * part) for rows in (1, 2, 8, 16)))


@pytest.fixture
def store(tmp_path: Path) -> Profiles:
    return Profiles(tmp_path / "device.json")


def test_a_profile_is_measured_for_all_half_and_one_of_the_threads_and_kept(store: Profiles) -> None:
    timer, watch = Timer(), Watch(store, "key", 4)
    assert watch.profile is None
    found = watch.measure(timer, load_s=1.0, sequence_bytes=7)
    assert timer.asked == [(4, False), (2, False), (1, False)]
    assert set(found.speeds) == {1, 2, 4}
    assert found.threads(4) == (4, 4)
    assert Watch(store, "key", 4).profile == found
    assert Watch(store, "other", 4).profile is None


def test_measuring_again_keeps_what_requests_have_taught(store: Profiles) -> None:
    store.save("key", replace(PROFILE, after_s=0.5))
    watch = Watch(store, "key", 2)
    steps: list[float] = []
    found = watch.measure(Timer(), thorough=True, advance=steps.append)
    assert steps == [1, 2]
    assert (found.after_s, found.load_s, found.sequence_bytes) == (0.5, PROFILE.load_s, PROFILE.sequence_bytes)
    assert found.speeds != PROFILE.speeds


def test_every_call_corrects_the_stored_profile(store: Profiles) -> None:
    store.save("key", PROFILE)
    watch = Watch(store, "key", 2)
    watch.observe(call(2.0))
    assert watch.profile is not None
    assert watch.profile.calls == 1
    assert store.load("key") == watch.profile


def test_a_call_without_a_profile_and_a_folder_that_cannot_be_written_are_no_error(
    store: Profiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(store, "key", 2)
    watch.observe(call())
    assert watch.profile is None

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Profiles, "save", fail)
    assert watch.measure(Timer()) == watch.profile


@pytest.mark.parametrize(
    ("cores", "busy", "free"),
    [(8, None, 4), (8, 0.0, 4), (2, 0.0, 2), (2, 0.3, 2), (2, 0.9, 1), (2, 2.0, 1), (8, 5.2, 3), (1, 1.0, 1)],
)
def test_threads_make_way_for_what_others_run(
    store: Profiles, monkeypatch: pytest.MonkeyPatch, cores: int, busy: float | None, free: int
) -> None:
    watch = Watch(store, "key", 4)
    monkeypatch.setattr(device, "cores", lambda: cores)
    monkeypatch.setattr(watch._meter, "look", lambda: busy)
    assert watch.free_cores() == free


def test_heat_is_read_again_after_a_while_only(store: Profiles, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = [(95.0, True), (40.0, False)]
    monkeypatch.setattr(device, "heat", lambda: readings.pop(0))
    watch = Watch(store, "key", 1)
    assert watch.hot()
    assert watch.hot()
    assert len(readings) == 1
