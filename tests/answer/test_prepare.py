"""How many candidates a request gets, and what bounds their number."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from fakes import BYTES_PER_TOKEN, FakePolicy, FakeReward, rooms
from policy.table import FakeClock

from answer.requests import COSTS, ask, prompt_length
from edge_ttp.answer import generate, recollection
from edge_ttp.budget.planner import BATTERY_CANDIDATES, DISTRUSTED_CANDIDATES, MODE_CANDIDATES, SAVER_CANDIDATES
from edge_ttp.history import History
from edge_ttp.learning.calibration import POPULATION
from edge_ttp.schema import MAX_CANDIDATES, Budget, Rule


@pytest.mark.parametrize("mode", MODE_CANDIDATES)
def test_each_mode_has_its_number_of_candidates(history: History, mode: str) -> None:
    result = generate(rooms(history), ask(n=None, budget=Budget(mode=mode)))  # type: ignore[arg-type]
    assert (result.n, result.plan.bound_by) == (MODE_CANDIDATES[mode], "mode")  # type: ignore[index]


@pytest.mark.parametrize(("energy", "most"), [("saver", SAVER_CANDIDATES), ("battery", BATTERY_CANDIDATES)])
def test_less_energy_means_fewer_candidates(history: History, energy: str, most: int) -> None:
    result = generate(rooms(history), ask(n=None, budget=Budget(energy=energy)))  # type: ignore[arg-type]
    assert (result.n, result.plan.bound_by) == (most, "energy")


def test_the_number_asked_for_is_kept(history: History) -> None:
    result = generate(rooms(history), ask(n=23, budget=Budget(energy="saver", mode="fast")))
    assert (result.n, result.plan.n, result.plan.bound_by) == (23, 23, "requested")


def test_the_most_candidates_allowed_win_over_the_number_asked_for(history: History) -> None:
    result = generate(rooms(history), ask(n=9, budget=Budget(max_candidates=3)))
    assert (result.n, result.plan.bound_by) == (3, "max_candidates")
    assert "9 candidates were asked for, 3 fit (max candidates)" in result.notes


def test_memory_bounds_the_candidates_unless_their_number_was_asked_for(history: History) -> None:
    memory = (prompt_length(history) + 8 * 5) * BYTES_PER_TOKEN
    result = generate(rooms(history, memory_bytes=memory), ask(n=None))
    assert (result.n, result.plan.n, result.plan.bound_by, result.plan.waves) == (5, 5, "memory", 1)
    asked = generate(rooms(history, memory_bytes=memory), ask(n=12))
    assert (asked.n, asked.plan.bound_by, asked.plan.waves) == (12, "requested", 3)


def test_a_deadline_bounds_the_candidates_by_the_measured_cost(history: History, clock: FakeClock) -> None:
    result = generate(rooms(history, FakePolicy(clock=clock), costs=COSTS), ask(n=64, budget=Budget(deadline_s=0.25)))
    assert result.plan.bound_by == "deadline"
    assert 1 < result.n < 64
    assert result.plan.expected_s is not None
    assert result.plan.expected_s <= 0.25


def test_only_one_candidate_is_drawn_where_nothing_can_tell_them_apart(history: History) -> None:
    result = generate(replace(rooms(history), reward=None), ask(n=None, rule="first"))
    assert (result.n, result.plan.bound_by, result.selection.reason) == (1, "no_reward", "the only candidate")


@pytest.mark.parametrize("rule", ["consensus", "logprob"])
def test_rules_that_need_no_reward_model_still_get_several(history: History, rule: Rule) -> None:
    assert generate(replace(rooms(history), reward=None), ask(n=None, rule=rule)).n == MODE_CANDIDATES["balanced"]


def test_as_many_candidates_as_the_schema_allows_can_be_drawn(history: History) -> None:
    assert generate(rooms(history), ask(n=MAX_CANDIDATES)).n == MAX_CANDIDATES


def test_a_user_whose_scores_order_nothing_gets_few_candidates(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    untrusted = replace(POPULATION, rho=0.05, queries=30)
    stub = SimpleNamespace(record=untrusted, weights=FakeReward().stock)
    monkeypatch.setattr(recollection, "learned", lambda *_: stub)
    result = generate(rooms(history, costs=COSTS), ask(n=None, budget=Budget(mode="best")))
    assert (result.n, result.plan.bound_by) == (DISTRUSTED_CANDIDATES, "trust")


def test_a_language_that_the_policy_cannot_write_is_said_once_to_each_user(history: History) -> None:
    parts = replace(rooms(history), languages=("en",))
    german = "Kannst du mir sagen, wann der nächste Zug an die Küste fährt?"
    first, again, english = (generate(parts, ask(prompt)) for prompt in (german, german, "what grows here in spring"))
    other = generate(parts, ask(german, user="bob"))
    assert [any("German" in note for note in one.notes) for one in (first, again, english, other)] == [
        *(True, False, False, True),
    ]
