"""Who waits while the engine draws: messages are heard in order, and an error reaches the request."""

from __future__ import annotations

from collections.abc import Generator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge_ttp.answer.driving import Answering, AtWork, drive
from edge_ttp.policy.job import Asked, Ended


def at_work(*messages: object, heard: list[object] | None = None) -> AtWork:
    """A job that says these messages."""
    waiting = iter(messages)
    hear = heard.append if heard is not None else lambda _: None
    return AtWork(cast(Any, SimpleNamespace(wait=lambda: next(waiting))), cast(Any, SimpleNamespace(hear=hear)))


def test_what_comes_before_a_question_is_heard_in_order() -> None:
    heard: list[object] = []
    question, end = Asked("more?"), Ended("drawn", None)
    work = at_work("one", "two", question, "three", end, heard=heard)
    assert work.next_stop() is question
    assert heard == ["one", "two"]
    assert work.next_stop() is cast(Any, end)
    assert heard == ["one", "two", "three"]


def test_a_request_is_sent_every_stop_and_gives_its_answer() -> None:
    question, end = Asked("more?"), Ended("drawn", None)
    stops: list[object] = []

    def answering() -> Generator[AtWork, object, str]:
        work = at_work(question, end)
        stops.append((yield work))
        stops.append((yield work))
        return "the answer"

    assert drive(cast(Answering, answering())) == cast(Any, "the answer")
    assert stops == [question, end]


def test_a_request_that_needs_no_engine_is_answered_at_once() -> None:
    def answering() -> Generator[AtWork, object, str]:
        return "nothing to draw"
        yield at_work()

    assert drive(cast(Answering, answering())) == cast(Any, "nothing to draw")


@pytest.mark.parametrize("error", [ValueError("a callback's own"), KeyboardInterrupt()])
def test_an_error_while_waiting_is_raised_inside_the_request_and_to_its_caller(error: BaseException) -> None:
    inside: list[BaseException] = []

    def wait() -> object:
        raise error

    def answering() -> Generator[AtWork, object, str]:
        try:
            yield AtWork(cast(Any, SimpleNamespace(wait=wait)), cast(Any, None))
        except BaseException as raised:
            inside.append(raised)
            raise
        return "never"

    with pytest.raises(type(error)):
        drive(cast(Answering, answering()))
    assert inside == [error]


def test_a_request_may_answer_with_what_it_has_in_spite_of_ctrl_c() -> None:
    def wait() -> object:
        raise KeyboardInterrupt

    def answering() -> Generator[AtWork, object, str]:
        try:
            yield AtWork(cast(Any, SimpleNamespace(wait=wait)), cast(Any, None))
        except KeyboardInterrupt:
            return "what there was"
        return "never"

    assert drive(cast(Answering, answering())) == cast(Any, "what there was")
