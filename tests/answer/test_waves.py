"""Drawing in waves: what decides how many follow."""

from __future__ import annotations

from dataclasses import replace

from fakes import FakePolicy, FakeReward, endless, rooms
from policy.table import FakeClock

from answer.requests import COSTS, SPEED, ask
from edge_ttp.answer import generate
from edge_ttp.history import History
from edge_ttp.schema import Budget, Event


def leading(text: str) -> float:
    """A judge who finds all candidates alike but for one that is far ahead."""
    return 0.9 if text.startswith("apple") else 0.1


def test_a_wave_that_is_scored_decides_how_many_follow(history: History) -> None:
    policy, events = FakePolicy(table=endless), list[Event]()
    alike = FakeReward(judge=lambda text: 0.1)
    result = generate(rooms(history, policy, alike, costs=COSTS), ask(n=None, emit=events.append))
    first = policy.controls[0].first_wave
    assert first is not None
    assert 1 < first < result.n
    assert result.plan.waves > 1
    assert len(result.plan.decisions) >= 1
    assert result.plan.decisions[0].startswith(f"after {first} candidates: ")
    assert [event.n for event in events if event.type == "planned"][-1] == result.n
    assert [one.seed for one in result.candidates] == list(range(5, 5 + result.n))
    assert events[-3].n == result.n


def test_a_candidate_far_ahead_ends_the_drawing(history: History) -> None:
    policy = FakePolicy(table=endless)
    result = generate(rooms(history, policy, FakeReward(judge=leading), costs=COSTS), ask(n=None))
    assert any(one.text.startswith("apple") for one in result.candidates)
    assert result.n == policy.controls[0].first_wave
    assert result.plan.waves == 1
    assert "no more" in result.plan.decisions[-1]


def test_the_last_waves_scores_are_not_made_twice(history: History) -> None:
    reward = FakeReward(judge=leading)
    result = generate(rooms(history, FakePolicy(table=endless), reward, costs=COSTS), ask(n=None))
    assert [len(pool) for pool in reward.pools] == [result.n]


def test_a_number_that_was_asked_for_is_drawn_at_once(history: History) -> None:
    policy = FakePolicy()
    result = generate(rooms(history, policy, costs=COSTS), ask(n=12))
    assert (policy.controls[0].first_wave, result.plan.waves, result.plan.decisions) == (None, 1, ())


def test_later_waves_keep_to_the_most_candidates_allowed(history: History) -> None:
    alike = FakeReward(judge=lambda text: 0.1)
    budget = Budget(mode="best", max_candidates=9)
    result = generate(rooms(history, FakePolicy(table=endless), alike, costs=COSTS), ask(n=None, budget=budget))
    assert result.n <= 9


def test_a_wave_after_which_no_time_is_left_is_the_last(history: History, clock: FakeClock) -> None:
    policy = FakePolicy(table=endless, clock=clock, step_s=0.011)
    alike = FakeReward(judge=lambda text: 0.1)
    slow = rooms(history, policy, alike, costs=COSTS)
    result = generate(slow, ask(n=None, budget=Budget(mode="best", deadline_s=0.5)))
    assert result.plan.bound_by == "deadline"
    assert {one.finish_reason for one in result.candidates} == {"length"}
    assert clock.now < 0.5


def test_threads_are_those_that_the_profile_found_fastest(history: History) -> None:
    quick = SPEED.scaled(0.5)
    costs = replace(COSTS, measured={1: SPEED, 2: quick}, speeds={1: SPEED, 2: quick})
    policy = FakePolicy()
    for free in (1, 2, 4):
        generate(replace(rooms(history, policy, costs=costs), free_cores=free), ask())
    assert policy.threads == [(1, 1), (2, 2), (2, 2)]
