"""The turn goes round in the order of asking; who waits can give up."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from edge_ttp.errors import Cancelled, DeadlineTooShort
from edge_ttp.policy.turn import Turns


def until_waiting(turns: Turns, count: int) -> None:
    while turns.waiting() < count:
        time.sleep(0.001)


def test_callers_are_served_in_the_order_they_asked() -> None:
    turns = Turns()
    served: list[int] = []

    def call(index: int) -> None:
        with turns.take(cancel=threading.Event() if index % 2 else None):
            served.append(index)

    with ThreadPoolExecutor(20) as pool, turns.take():
        for index in range(20):
            pool.submit(call, index)
            until_waiting(turns, index + 2)
        assert served == []
        # leaving the block lets them in
    assert served == list(range(20))
    assert turns.waiting() == 0


def test_only_one_holds_the_turn() -> None:
    turns = Turns()
    inside, most = 0, 0

    def call() -> None:
        nonlocal inside, most
        for _ in range(50):
            with turns.take():
                inside += 1
                most = max(most, inside)
                time.sleep(0)
                inside -= 1

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(call) for _ in range(8)]:
            done.result()
    assert most == 1


def test_a_waiting_call_can_be_cancelled_and_the_others_move_up() -> None:
    turns = Turns()
    cancel = threading.Event()
    served = threading.Event()

    def give_up() -> None:
        with turns.take(cancel=cancel):
            pytest.fail("it was cancelled")

    def patient() -> None:
        with turns.take():
            served.set()

    with ThreadPoolExecutor(2) as pool:
        with turns.take():
            waiting = pool.submit(give_up)
            until_waiting(turns, 2)
            behind = pool.submit(patient)
            until_waiting(turns, 3)
            cancel.set()
            with pytest.raises(Cancelled, match="waiting"):
                waiting.result(10)
            assert not served.is_set()
        behind.result(10)
    assert turns.waiting() == 0


@pytest.mark.parametrize("cancel", [None, threading.Event()])
def test_a_waiting_call_gives_up_at_its_deadline(cancel: threading.Event | None) -> None:
    turns = Turns()

    def late() -> None:
        with turns.take(deadline=time.monotonic() + 0.05, cancel=cancel):
            pytest.fail("its deadline had passed")

    with ThreadPoolExecutor(1) as pool, turns.take():
        with pytest.raises(DeadlineTooShort, match="earlier request"):
            pool.submit(late).result(10)
        assert turns.waiting() == 1


def test_a_fault_inside_gives_the_turn_back() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="no"), turns.take():
        raise ValueError("no")
    assert turns.waiting() == 0
    with turns.take():
        assert turns.waiting() == 1
