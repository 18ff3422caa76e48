"""Who is inside: the last one out closes the door, and memory is given back when nobody has come for long."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.runtime.visitors import Visitors


def test_the_last_to_leave_after_the_door_was_shut_closes_it_once() -> None:
    visitors, closed = Visitors(None, lambda: None), list[str]()

    def last() -> None:
        closed.append("closed")

    with visitors.visit(last=last):
        with visitors.visit(last=last):  # a callback of a request may ask
            assert visitors.count == 2
            visitors.shut()
        assert closed == []
    assert closed == ["closed"]
    assert visitors.count == 0


def test_nobody_comes_in_after_it_was_shut() -> None:
    visitors = Visitors(None, lambda: None)
    with visitors.visit(last=lambda: pytest.fail("it is open")):
        visitors.check()
    visitors.shut()
    with pytest.raises(InvalidInput, match="was closed"), visitors.visit(last=lambda: None):
        pytest.fail("it is shut")
    assert visitors.count == 0


def test_an_error_inside_is_a_leaving_too() -> None:
    visitors = Visitors(None, lambda: None)
    with pytest.raises(ZeroDivisionError), visitors.visit(last=lambda: None):
        raise ZeroDivisionError
    assert visitors.wait(0)


def test_waiting_is_for_others_and_not_for_oneself() -> None:
    visitors = Visitors(None, lambda: None)
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with visitors.visit(last=lambda: None):
            inside.set()
            assert leave.wait(60)

    with ThreadPoolExecutor(1) as threads:
        staying = threads.submit(stay)
        assert inside.wait(60)
        assert not visitors.wait(0.01)
        with visitors.visit(last=lambda: None):
            assert not visitors.wait(None)  # else it would wait forever
        leave.set()
        assert visitors.wait(60)
        staying.result(60)


def test_memory_is_given_back_when_nobody_has_come_for_long() -> None:
    unloaded = threading.Event()
    visitors = Visitors(0.01, unloaded.set)
    with visitors.visit(last=lambda: None):
        assert not unloaded.wait(0.05)  # somebody is inside
    assert unloaded.wait(60)


def test_who_comes_before_the_time_is_up_or_shuts_the_door_keeps_the_memory() -> None:
    visitors = Visitors(3600, lambda: pytest.fail("too early"))
    with visitors.visit(last=lambda: None):
        pass
    first = visitors._timer
    assert first is not None
    with visitors.visit(last=lambda: None):
        assert first.finished.is_set()
    visitors.shut()
    assert visitors._timer is None


def test_a_child_that_was_forked_is_told_to_open_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    visitors = Visitors(None, lambda: None)
    assert not visitors.elsewhere
    monkeypatch.setattr("os.getpid", lambda: visitors._process + 1)
    assert visitors.elsewhere
    with pytest.raises(InvalidInput, match="before the process forked"):
        visitors.check()
