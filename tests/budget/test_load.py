"""How busy others are: invented processor times, and the real ones."""

from __future__ import annotations

import os
from types import SimpleNamespace

import psutil
import pytest

from edge_ttp.budget import load
from edge_ttp.budget.load import LoadMeter


class Machine:
    """Two cores whose processor times are set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.own = 100.0, 0.0
        self.user, self.nice, self.steal = [0.0, 0.0, 0.0], 0.0, 0.0
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
        monkeypatch.setattr(load, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self.pass_time))
        monkeypatch.setattr(psutil, "cpu_times", self.times)
        process = SimpleNamespace(cpu_times=lambda: SimpleNamespace(user=self.own, system=0.0))
        monkeypatch.setattr(psutil, "Process", lambda: process)

    def times(self, percpu: bool) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(user=used, nice=self.nice, system=0.0, steal=self.steal, idle=9.9) for used in self.user
        ]

    def pass_time(self, seconds: float, own: float = 0.0, others: float = 0.0, elsewhere: float = 0.0) -> None:
        """Time goes by; we use `own` cores, others `others` of ours and `elsewhere` of a core that is not ours."""
        self.now += seconds
        self.own += own * seconds
        self.user[0] += own * seconds
        self.user[1] += others * seconds
        self.user[2] += elsewhere * seconds


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_what_others_use_is_counted_and_our_own_work_is_not(machine: Machine) -> None:
    meter = LoadMeter()
    machine.pass_time(1.0, own=1.0, others=0.75)
    assert meter.look() == pytest.approx(0.75)


def test_cores_that_are_not_ours_and_work_that_makes_way_do_not_count(machine: Machine) -> None:
    meter = LoadMeter()
    machine.nice += 5.0
    machine.pass_time(1.0, elsewhere=1.0)
    assert meter.look() == pytest.approx(0.0)
    machine.steal += 0.25
    machine.pass_time(1.0)
    assert meter.look() == pytest.approx(0.5)


def test_intervals_too_short_or_too_long_to_say_anything_leave_the_last_value(machine: Machine) -> None:
    meter = LoadMeter()
    assert meter.look() is None
    machine.pass_time(1.0, others=1.0)
    assert meter.look() == pytest.approx(1.0)
    machine.pass_time(0.01)
    assert meter.look() == pytest.approx(1.0)
    machine.pass_time(20.0)
    assert meter.look() == pytest.approx(1.0)
    machine.pass_time(100.0)
    assert meter.look() is None


def test_a_sample_is_measured_over_its_own_time(machine: Machine) -> None:
    assert LoadMeter().sample(0.2) == pytest.approx(0.0)


def test_a_machine_that_tells_nothing_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(percpu: bool) -> None:
        raise OSError

    monkeypatch.setattr(psutil, "cpu_times", fail)
    meter = LoadMeter()
    assert meter.look() is None
    assert meter.sample(0.0) is None


def test_the_real_machine_has_a_load_between_none_and_all_of_its_cores() -> None:
    found = LoadMeter().sample(0.12)
    assert found is not None
    assert 0 <= found <= (os.cpu_count() or 1)
