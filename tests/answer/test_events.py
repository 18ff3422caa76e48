"""What a caller hears while candidates are drawn."""

from __future__ import annotations

import threading

import pytest
from fakes import FakePolicy, endless, rooms

from answer.requests import ask
from edge_ttp.answer import generate
from edge_ttp.history import History
from edge_ttp.schema import Event, Sampling


def test_an_error_in_the_callers_own_callback_reaches_the_caller(history: History) -> None:
    def fail(event: Event) -> None:
        if event.type == "progress":
            raise ZeroDivisionError

    policy = FakePolicy()
    with pytest.raises(ZeroDivisionError):
        generate(rooms(history, policy), ask(emit=fail))
    assert generate(rooms(history, policy), ask()).text  # the policy is usable afterwards


def test_events_come_in_the_order_of_the_work(history: History) -> None:
    events: list[Event] = []
    result = generate(rooms(history), ask(emit=events.append))
    types = [event.type for event in events]
    assert types[0] == "planned"
    assert types[-2:] == ["scored", "selected"]
    assert set(types[1:-2]) == {"progress", "finished"}
    assert events[0].n == result.plan.n
    ended = {event.candidate: event.text for event in events if event.type == "finished"}
    assert ended == {index: one.text for index, one in enumerate(result.candidates)}
    last = [event.tokens for event in events if event.type == "progress"][-1]
    assert last == tuple(one.tokens for one in result.candidates)
    assert (events[-1].text, events[-1].candidate, events[-1].generation) == (result.text, result.chosen, result)


def test_candidates_that_a_cancel_drops_are_told_with_the_reason(history: History) -> None:
    cancel = threading.Event()
    events: list[Event] = []

    def watch(event: Event) -> None:
        events.append(event)
        if event.type == "progress" and max(event.tokens) == 3:
            cancel.set()

    asked = ask(cancel=cancel, emit=watch, sampling=Sampling(max_tokens=1500))
    result = generate(rooms(history, FakePolicy(table=endless)), asked)
    dropped = {event.candidate: (event.text, event.finish_reason) for event in events if event.type == "dropped"}
    assert dropped == {index: (one.text, "cancelled") for index, one in enumerate(result.candidates)}
    assert len({one.tokens for one in result.candidates}) == 1
