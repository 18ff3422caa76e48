"""Whether the device has nothing better to do."""

from __future__ import annotations

import pytest

from edge_ttp.learning import idle
from edge_ttp.learning.idle import Idle


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


def test_what_this_process_computes_itself_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([((0.0, 100.0), 0.0), ((19.0, 120.0), 18.0), ((38.0, 140.0), 18.0)])
    monkeypatch.setattr(idle, "_used", lambda: next(readings))
    monkeypatch.setattr(idle.psutil, "sensors_battery", lambda: None, raising=False)
    look = Idle()
    assert look.now()  # 1 of 20 seconds is others'
    assert not look.now()  # all 19 are: only what came since the last look counts
