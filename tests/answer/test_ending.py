"""Answers that run on are continued alone, cut ones are said to be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from fakes import FakePolicy, FakeReward, endless, rooms
from policy.table import FakeClock

from answer.requests import ask, prompt_length, remember
from edge_ttp.answer import generate
from edge_ttp.history import History
from edge_ttp.schema import Budget, Sampling


def ends_after(tokens: int, start: int) -> Callable[[tuple[int, ...]], np.ndarray]:
    """Logits under which every answer behind a prompt of `start` tokens ends after so many tokens."""
    return lambda prefix: endless(prefix) if len(prefix) < start + tokens else np.array([0.0, *np.full(8, -np.inf)])


def test_a_chosen_answer_that_runs_on_is_continued_alone_to_its_end(history: History) -> None:
    remember(history)
    start = prompt_length(history, sampling=Sampling())
    policy = FakePolicy(table=ends_after(30, start))
    result = generate(rooms(history, policy), ask(n=3, sampling=Sampling()))
    assert result.plan.max_tokens < 30
    assert [request.n for request in policy.requests] == [3, 1]
    assert (result.finish_reason, len(result.text.split())) == ("stop", 30)
    assert result.candidates[result.chosen].text == result.text
    others = [one for place, one in enumerate(result.candidates) if place != result.chosen]
    assert {one.finish_reason for one in others} == {"length"}
    assert not any("cut" in note for note in result.notes)


def test_an_answer_that_never_ends_is_cut_and_said_to_be(history: History) -> None:
    remember(history)
    result = generate(rooms(history, FakePolicy(table=endless)), ask(n=2, sampling=Sampling()))
    assert result.finish_reason == "length"
    assert any(note.startswith("the answer is cut after") and "--max-tokens" in note for note in result.notes)


def test_a_length_that_was_named_is_kept_and_the_cut_is_said(history: History) -> None:
    policy = FakePolicy(table=endless)
    result = generate(rooms(history, policy), ask(n=2, sampling=Sampling(max_tokens=5)))
    assert len(policy.requests) == 1
    assert result.candidates[result.chosen].tokens == 5
    assert "the answer is cut: it reached --max-tokens 5" in result.notes


def test_a_continuation_keeps_to_the_deadline(history: History, clock: FakeClock) -> None:
    remember(history)
    policy = FakePolicy(table=endless, clock=clock, step_s=0.01)
    result = generate(rooms(history, policy), ask(n=2, sampling=Sampling(), budget=Budget(deadline_s=0.5)))
    assert clock() < 0.55
    assert result.finish_reason == "deadline"
    assert any("the deadline ended it" in note for note in result.notes)


def test_a_complete_answer_is_preferred_to_one_that_was_cut(history: History) -> None:
    remember(history)
    result = generate(rooms(history, FakePolicy(), FakeReward(judge=len)), ask(n=16, sampling=Sampling(max_tokens=3)))
    assert {one.finish_reason for one in result.candidates} == {"stop", "length"}
    assert result.finish_reason == "stop"


def test_without_a_habit_an_answer_may_go_on_for_long(history: History) -> None:
    start = prompt_length(history, user="new", sampling=Sampling())
    policy = FakePolicy(table=ends_after(400, start))
    result = generate(rooms(history, policy), ask(user="new", n=2, sampling=Sampling()))
    assert (result.finish_reason, len(result.text.split())) == ("stop", 400)
