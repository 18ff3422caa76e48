"""What a caller hears while candidates are drawn."""

from __future__ import annotations

import itertools
import threading

import pytest
from fakes import FakePolicy, endless, rooms

from answer.requests import ask
from edge_ttp.answer import generate
from edge_ttp.answer.events import Telling
from edge_ttp.history import History
from edge_ttp.policy.request import StepReport
from edge_ttp.schema import Candidate, Event, Sampling


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
    assert types[-3:] == ["scored", "selected", "done"]
    assert set(types[1:-3]) == {"delta", "leading", "progress", "finished"}
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


def test_what_candidates_say_is_told_as_they_say_it(history: History) -> None:
    events: list[Event] = []
    result = generate(rooms(history), ask(emit=events.append))
    said = dict.fromkeys(range(result.n), "")
    for event in events:
        if event.type == "delta":
            assert event.text
            assert event.candidate is not None
            said[event.candidate] += event.text
        elif event.type == "finished" and event.candidate is not None:
            assert said[event.candidate] == event.text
    assert said == {index: one.text for index, one in enumerate(result.candidates)}
    kinds = [event.type for event in events]
    assert kinds.index("delta") < kinds.index("progress") < kinds.index("finished")  # from the first step on


def test_the_leading_candidate_is_the_first_and_then_the_best(history: History) -> None:
    events: list[Event] = []
    result = generate(rooms(history), ask(emit=events.append))
    leading = [event for event in events if event.type == "leading"]
    assert [event.candidate for event in leading[:-1]] == [0] * (len(leading) - 1)
    means = [one.mean or 0.0 for one in result.candidates]
    assert leading[-1].candidate == means.index(max(means))
    assert leading[-1].text == result.candidates[leading[-1].candidate].text
    grown = [event.text or "" for event in leading if event.candidate == 0]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(grown))


def test_where_the_leading_candidate_is_dropped_another_leads() -> None:
    events: list[Event] = []
    telling = Telling(events.append)
    dropped = Candidate(text="one", tokens=1, logprob=-1.0, finish_reason="capacity", seed=0)
    telling.step(StepReport(tokens=(1, 1), finished={}, texts={0: "one", 1: "two"}))
    telling.step(StepReport(tokens=(1, 2), finished={}, dropped={0: dropped}, texts={1: " three"}))
    told = [(event.type, event.candidate, event.text) for event in events if event.type == "leading"]
    assert told == [("leading", 0, "one"), ("leading", 1, "two three")]
