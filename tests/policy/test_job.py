"""A request with the scheduler: its messages in order, questions, who listens, and who waits."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest

from edge_ttp.errors import OutOfCapacity
from edge_ttp.policy.job import Asked, Claim, EitherFlag, Ended, Job, Paused, Steps, waited

from .desk import Desk, until


def test_an_abandoned_job_is_cleared_away(desk: Desk) -> None:
    cleared = threading.Event()

    def start(_: Job[None]) -> Steps[None]:
        try:
            while True:
                yield "step"
        finally:
            cleared.set()

    desk.go()
    job = desk.scheduler.submit(start)
    assert job.wait(60) == "step"
    job.abandon()
    assert cleared.wait(60)
    until(lambda: desk.scheduler.waiting() == 0)


def test_what_a_listener_of_messages_raises_ends_its_job(desk: Desk) -> None:
    def hear(message: object) -> object:
        raise KeyError(message)

    def start(_: Job[None]) -> Steps[None]:
        while True:
            yield "step"

    desk.go()
    with pytest.raises(KeyError):
        desk.scheduler.submit(start, hear=hear).drive()
    with_listener = desk.scheduler.submit(start, listener=hear)  # type: ignore[arg-type]
    until(lambda: desk.scheduler.waiting() == 0)
    with pytest.raises(queue.Empty):
        with_listener.wait(0)


def test_while_a_job_waits_for_a_reply_the_others_go_on(desk: Desk) -> None:
    def asking(_: Job[int]) -> Steps[int]:
        return (yield Asked("how many")) + 1

    job, other = desk.scheduler.submit(asking), desk.submit("o", 5)
    desk.go()
    question = job.wait(60)
    assert isinstance(question, Asked)
    assert question.question == "how many"
    assert other.drive() == "o"
    job.reply(41)
    assert job.drive() == 42


def test_messages_come_in_order_and_the_result_last(desk: Desk) -> None:
    def start(_: Job[str]) -> Steps[str]:
        yield "one"
        yield None
        yield "two"
        return "done"

    heard: list[object] = []
    desk.go()
    assert desk.scheduler.submit(start, hear=heard.append).drive() == "done"
    assert heard == ["one", "two"]
    listened: list[object] = []
    desk.scheduler.submit(start, listener=listened.append)
    until(lambda: bool(listened) and isinstance(listened[-1], Ended))
    assert listened[:-1] == heard


def test_either_flag_ends_a_call_and_the_callers_own_is_left_alone() -> None:
    given = threading.Event()
    both = EitherFlag(given)
    assert not both.is_set()
    both.set()
    assert both.is_set()
    assert not given.is_set()
    given.set()
    assert EitherFlag(given).is_set()
    assert not EitherFlag().is_set()


def test_an_end_gives_its_value_or_raises_its_error() -> None:
    assert Ended("drawn", None).result() == "drawn"
    assert Ended(None, None).result() is None
    with pytest.raises(OutOfCapacity, match="no room"):
        Ended(None, OutOfCapacity("no room", "ask for less")).result()


def test_driving_hands_every_message_but_the_last_and_replies_with_what_comes_back(desk: Desk) -> None:
    def start(job: Job[list[Any]]) -> Steps[list[Any]]:
        job.tell("begun")
        first = yield Asked("how many?")
        second = yield Asked("and now?")
        return [first, second]

    heard: list[object] = []

    def hear(message: object) -> object:
        heard.append(message)
        return len(heard)

    job: Job[list[Any]] = desk.scheduler.submit(start, Claim(), hear=hear)
    desk.go()
    assert job.drive() == [2, 3]
    assert heard == ["begun", Asked("how many?"), Asked("and now?")]


def test_what_hearing_raises_ends_the_job(desk: Desk) -> None:
    ended = threading.Event()

    def start(_: Job[str]) -> Steps[str]:
        try:
            yield Asked("?")
        finally:
            ended.set()
        return "never"

    def hear(_: object) -> object:
        raise KeyboardInterrupt

    job: Job[str] = desk.scheduler.submit(start, Claim(), hear=hear)
    desk.go()
    with pytest.raises(KeyboardInterrupt):
        job.drive()
    assert job.is_set()
    assert job.dropped
    assert ended.wait(60)


def test_waiting_for_a_time_gives_up(desk: Desk) -> None:
    job = desk.submit("late", 1)
    with pytest.raises(queue.Empty):
        job.wait(timeout=0.01)
    desk.go()
    assert job.drive() == "late"


# Work that pauses for jobs


class DeskOfNone:
    """Where jobs are heard; nothing runs."""

    def look_at(self, job: Job[Any]) -> None:
        pass

    def resume(self, job: Job[Any], value: Any) -> None:
        pass


def told_job(*messages: object, hear: Callable[[object], Any] | None = None) -> Job[Any]:
    """A job that has told all these messages."""
    made: Job[Any] = Job(DeskOfNone(), lambda _: None, Claim(), deadline=None, cancel=None, hear=hear)
    for message in messages:
        made.tell(message)
    return made


def test_what_comes_before_a_question_is_heard_in_order() -> None:
    heard: list[object] = []
    question, end = Asked("more?"), Ended("drawn", None)
    work = told_job("one", "two", question, "three", end, hear=heard.append)
    assert work.next_stop() is question
    assert heard == ["one", "two"]
    assert work.next_stop() is end
    assert heard == ["one", "two", "three"]


def test_work_is_sent_every_stop_of_its_jobs_and_gives_its_answer() -> None:
    question, end = Asked("more?"), Ended("drawn", None)
    stops: list[object] = []

    def answering() -> Paused[str]:
        drawing = told_job(question, end)
        stops.append((yield drawing))
        stops.append((yield drawing))
        return "the answer"

    assert waited(answering()) == "the answer"
    assert stops == [question, end]


def test_work_that_needs_no_job_is_done_at_once() -> None:
    def answering() -> Paused[str]:
        return "nothing to draw"
        yield told_job()

    assert waited(answering()) == "nothing to draw"


def failing(error: BaseException) -> Job[Any]:
    """A job in which somebody who hears it raises."""

    def hear(_: object) -> None:
        raise error

    return told_job("step", hear=hear)


@pytest.mark.parametrize("error", [ValueError("a callback's own"), KeyboardInterrupt()])
def test_an_error_while_waiting_is_raised_inside_the_work_and_to_its_caller(error: BaseException) -> None:
    inside: list[BaseException] = []

    def answering() -> Paused[str]:
        try:
            yield failing(error)
        except BaseException as raised:
            inside.append(raised)
            raise
        return "never"

    with pytest.raises(type(error)):
        waited(answering())
    assert inside == [error]


def test_work_may_answer_with_what_it_has_in_spite_of_ctrl_c() -> None:
    def answering() -> Paused[str]:
        try:
            yield failing(KeyboardInterrupt())
        except KeyboardInterrupt:
            return "what there was"
        return "never"

    assert waited(answering()) == "what there was"
