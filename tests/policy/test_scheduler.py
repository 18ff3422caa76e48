"""Turns among jobs: fair shares, priorities, cancels and deadlines, room; on a clock of its own, without any model."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from edge_ttp.errors import Cancelled, DeadlineTooShort, InvalidInput, OutOfCapacity
from edge_ttp.policy.job import Claim, Job, Queued, Start, Steps
from edge_ttp.policy.scheduler import CREDIT_S, PATIENCE_S, Scheduler

from .desk import Desk, until

# Turns


def test_jobs_take_their_steps_by_turns(desk: Desk) -> None:
    jobs = [desk.submit(name, 3, user=name) for name in "abc"]
    desk.go()
    assert [job.drive() for job in jobs] == ["a", "b", "c"]
    assert desk.taken == list("abcabcabc")


def test_a_short_job_does_not_wait_for_a_long_one(desk: Desk) -> None:
    long, short = desk.submit("l", 50, user="ann"), desk.submit("s", 2, user="bob")
    desk.go()
    assert short.drive() == "s"
    long.drive()
    assert desk.taken.index("s") == 1
    assert desk.taken[:4] == list("lsls")


def test_users_have_equal_shares_of_the_time_however_many_jobs_they_have(desk: Desk) -> None:
    jobs = [desk.submit(f"a{index}", 20, user="ann") for index in range(3)]
    jobs.append(desk.submit("b", 20, user="bob"))
    desk.go()
    for job in jobs:
        job.drive()
    half = desk.taken[: desk.taken.index("b") + 1 + 2 * 19]
    assert abs(half.count("b") - len(half) / 2) <= 1
    assert [half.count(f"a{index}") for index in range(3)] == pytest.approx([half.count("b") / 3] * 3, abs=1)


def test_time_counts_and_not_steps(desk: Desk) -> None:
    slow = desk.submit("s", 10, user="ann", step_s=4.0)
    quick = desk.submit("q", 40, user="bob", step_s=1.0)
    desk.go()
    slow.drive()
    quick.drive()
    assert desk.taken[:25].count("q") == pytest.approx(20, abs=1)


def test_one_slow_step_is_not_paid_for_to_everybody(desk: Desk) -> None:
    desk.submit("Z", 1, user="zoe", step_s=8.0)
    then = desk.submit("z", 1, user="zoe", step_s=0.1)
    others = [desk.submit("o", 100, user=f"user {place}", step_s=0.1) for place in range(40)]
    desk.go()
    for job in (then, *others):
        job.drive()
    assert desk.taken[0] == "Z"
    waited = desk.taken.index("z")
    assert waited > 40  # it is behind the others
    assert waited * 0.1 <= PATIENCE_S + 2 * 40 * 0.1  # and not for 8 s of each of the forty


def test_who_comes_later_is_neither_owed_nor_owes_anything(desk: Desk) -> None:
    first = desk.submit("a", 30, user="ann")
    desk.go()
    until(lambda: len(desk.taken) > 5)
    second = desk.submit("b", 5, user="bob")
    first.drive()
    second.drive()
    begun = desk.taken.index("b") if desk.taken.index("b") < 30 else None
    if begun is not None:  # it came in time: from then on they take turns
        assert desk.taken[begun : begun + 9].count("b") in (4, 5)


def test_background_jobs_wait_until_nobody_else_is_there(desk: Desk) -> None:
    background = desk.submit("b", 3, user="ann", priority="background")
    jobs = [desk.submit(name, 4, user=name) for name in "xy"]
    desk.go()
    for job in (background, *jobs):
        job.drive()
    assert desk.taken == [*"xyxyxyxy", *"bbb"]


def test_the_share_of_a_request_counts_those_that_are_here(desk: Desk) -> None:
    scheduler = desk.scheduler
    assert scheduler.share("ann") == 1
    with scheduler.present("ann"), scheduler.present("bob"), scheduler.present("bob"):
        assert (scheduler.share("ann"), scheduler.share("bob"), scheduler.share("eve")) == (1 / 2, 1 / 4, 1 / 3)
        assert scheduler.busy == 3
        with scheduler.present("ann", "background"):
            assert scheduler.share("ann") == 1 / 2
            assert scheduler.busy == 3
    assert (scheduler.share("ann"), scheduler.busy) == (1, 0)


# Ends


def test_a_job_that_fails_tells_its_caller_and_nobody_else(desk: Desk) -> None:
    def fail(_: Job[None]) -> Steps[None]:
        yield None
        raise ValueError("broken")

    failing, other = desk.scheduler.submit(fail), desk.submit("o", 3)
    desk.go()
    with pytest.raises(ValueError, match="broken"):
        failing.drive()
    assert other.drive() == "o"
    until(lambda: desk.scheduler.waiting() == 0)


def test_a_waiting_job_can_be_cancelled_and_the_others_move_up(desk: Desk) -> None:
    flag = threading.Event()
    by_flag, by_call, other = desk.submit("f", 1, cancel=flag), desk.submit("c", 1), desk.submit("o", 1)
    flag.set()
    by_call.cancel()
    desk.go()
    for job in (by_flag, by_call):
        with pytest.raises(Cancelled, match="cancelled before it began"):
            job.drive()
    other.drive()
    assert desk.taken == ["o"]


def test_a_flag_that_is_set_while_a_job_is_blocked_ends_it(desk: Desk) -> None:
    flag = threading.Event()
    room = Room(1)
    sitting = desk.scheduler.submit(room.start(10_000))
    waiting = desk.scheduler.submit(room.start(1), cancel=flag)
    desk.go()
    assert isinstance(waiting.wait(60), Queued)
    flag.set()
    with pytest.raises(Cancelled):
        waiting.drive()
    sitting.abandon()


def test_a_job_under_way_sees_its_flag_and_its_computation_is_cut_off(desk: Desk) -> None:
    aborted = threading.Event()
    began = threading.Event()

    def start(job: Job[str]) -> Steps[str]:
        job.abort = aborted.set
        began.set()
        assert aborted.wait(60)
        assert job.is_set()
        yield None
        return "cut"

    desk.go()
    for by_flag in (True, False):
        aborted.clear()
        began.clear()
        flag = threading.Event()
        job = desk.scheduler.submit(start, cancel=flag)
        assert began.wait(60)
        flag.set() if by_flag else job.cancel()
        assert job.drive() == "cut"


def test_a_deadline_cuts_a_computation_off_and_refuses_who_waited_too_long() -> None:
    scheduler = Scheduler()
    aborted = threading.Event()

    def start(job: Job[str]) -> Steps[str]:
        job.abort = aborted.set
        assert aborted.wait(60)
        yield None
        return "cut"

    now = time.monotonic()
    job, late = scheduler.submit(start, deadline=now + 0.05), scheduler.submit(start, deadline=now + 0.02)
    assert job.drive() == "cut"
    with pytest.raises(DeadlineTooShort, match="before the request could begin"):
        late.drive()
    assert scheduler.close(timeout=60)


# Room


class Room:
    """Seats for a few jobs at once."""

    def __init__(self, seats: int) -> None:
        self.free = seats
        self.seated: list[str] = []

    def start(self, steps: int, name: str = "") -> Start[str]:
        def begin(_: Job[str]) -> Steps[str] | None:
            if not self.free:
                return None
            self.free -= 1
            self.seated.append(name)
            return self._sit(steps, name)

        return begin

    def _sit(self, steps: int, name: str) -> Steps[str]:
        try:
            for _ in range(steps):
                yield None
            return name
        finally:
            self.free += 1


def test_without_room_a_job_waits_and_knows_its_position_and_when_it_begins(desk: Desk) -> None:
    room = Room(2)
    jobs = [
        desk.scheduler.submit(room.start(10, name), Claim(user=name, expected_s=seconds))
        for name, seconds in zip("abcd", (4.0, 9.0, 1.0, 1.0), strict=True)
    ]
    desk.go()
    assert [job.drive() for job in jobs[:2]] == ["a", "b"]
    third, fourth = jobs[2].wait(60), jobs[3].wait(60)
    assert third == Queued(1, 8.0)  # by turns, the shorter one of 4 s ends after 8
    assert fourth == Queued(2, 13.0)
    assert [job.drive() for job in jobs[2:]] == ["c", "d"]
    assert room.free == 2


def test_a_large_job_is_not_overtaken_for_ever_by_small_ones(desk: Desk) -> None:
    room = Room(1)
    desk.scheduler.submit(room.start(3, "first"), Claim(user="a"))
    names = ["large", *(f"small{index}" for index in range(5))]
    jobs = [desk.scheduler.submit(room.start(1, name), Claim(user=name)) for name in names]
    desk.go()
    for job in jobs:
        job.drive()
    assert room.seated[:2] == ["first", "large"]


def test_a_background_job_makes_room_and_begins_anew(desk: Desk) -> None:
    room = Room(1)
    adapting = desk.scheduler.submit(room.start(100_000, "background"), Claim(priority="background"))
    desk.go()
    until(lambda: room.seated == ["background"])
    assert desk.scheduler.submit(room.start(3, "request")).drive() == "request"
    until(lambda: room.seated == ["background", "request", "background"])
    adapting.abandon()


def test_what_can_never_have_room_is_refused(desk: Desk) -> None:
    desk.go()
    with pytest.raises(OutOfCapacity):
        desk.scheduler.submit(Room(0).start(1)).drive()


# Life


def test_closing_waits_for_the_jobs_or_cancels_them(desk: Desk) -> None:
    job = desk.submit("a", 3)
    with ThreadPoolExecutor(1) as threads:
        closing = threads.submit(desk.scheduler.close)
        until(lambda: desk.scheduler._closed)
        with pytest.raises(InvalidInput, match="was closed"):
            desk.submit("b", 1)
        desk.go()
        assert closing.result(60)
    assert job.drive() == "a"

    other = Desk()
    other.submit("never", 1)
    assert not other.scheduler.close(cancel=True, timeout=0.01)  # the one under way does not look at its flag
    other.go()
    assert other.scheduler.close(timeout=60)
    assert other.taken == []


def test_an_unused_scheduler_has_no_threads_and_a_closed_one_leaves_none() -> None:
    before = set(threading.enumerate())
    scheduler = Scheduler()
    assert set(threading.enumerate()) == before
    assert scheduler.call(lambda: 7) == 7
    assert scheduler.close(timeout=60)
    assert set(threading.enumerate()) <= before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_after_a_fork_the_child_is_refused_in_one_line(desk: Desk) -> None:
    desk.go()
    assert desk.scheduler.call(lambda: 1) == 1
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            desk.scheduler.call(lambda: 1)
        except InvalidInput as refused:
            os.write(writing, str(refused).encode())
        os._exit(0)
    os.close(writing)
    assert b"before the process forked; open another" in os.read(reading, 1000)
    os.close(reading)
    assert os.waitpid(child, 0)[1] == 0


def test_many_jobs_from_many_threads_all_end(desk: Desk) -> None:
    desk.go()

    def call(index: int) -> str:
        return desk.submit(str(index), index % 5, user=str(index % 7), step_s=0.0).drive()

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(call, range(400))) == [str(index) for index in range(400)]
    until(lambda: desk.scheduler.waiting() == 0)


def test_a_newcomer_goes_first_for_a_moment_but_not_again_and_again(desk: Desk) -> None:
    long = [desk.submit(name, 60, user=name, step_s=0.1) for name in "ab"]
    desk.go()
    until(lambda: len(desk.taken) > 40)
    for _ in range(6):  # one short request after another of the same user
        desk.submit("s", 10, user="short", step_s=0.1).drive()
    first = desk.taken.index("s")
    assert desk.taken[first : first + 10] == ["s"] * 10
    for job in long:
        job.drive()
    # All in all the user had the credit and an equal part, no more.
    last = len(desk.taken) - 1 - desk.taken[::-1].index("s")
    part = desk.taken[first : last + 1]
    others = max(part.count("a"), part.count("b"))
    assert part.count("s") <= others + 10 * CREDIT_S + 2 or "a" not in desk.taken[last:]
