"""The plan of a request that is not run: its curve, its limits, and that nothing is drawn or kept."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from fakes import FakePolicy, rooms
from policy.table import FakeClock

from answer.requests import COSTS, ask, remember, row_counts
from edge_ttp.answer.explain import CURVE_AT, explain
from edge_ttp.budget.planner import MODE_CANDIDATES, SAVER_CANDIDATES, price
from edge_ttp.history import History
from edge_ttp.schema import MAX_CANDIDATES, Budget


def test_the_curve_has_the_gain_the_time_and_what_is_left_of_it(history: History, clock: FakeClock) -> None:
    found = explain(rooms(history, FakePolicy(clock=clock), costs=COSTS), ask(n=None))
    assert found.plan.n in {point.n for point in found.curve}
    assert {point.n for point in found.curve} == {*CURVE_AT, found.plan.n}
    assert found.price == price(Budget())
    for before, after in pairwise(found.curve):
        assert before.n < after.n
        assert before.gain <= after.gain
        assert before.seconds is not None
        assert after.seconds is not None
        assert before.seconds <= after.seconds
    for point in found.curve:
        assert point.seconds is not None
        assert point.value == pytest.approx(point.gain - found.price * point.seconds)
    best = max(found.curve, key=lambda point: -np.inf if point.value is None else point.value)
    assert best.n == found.plan.n == found.limits["value"]


def test_before_anything_was_measured_there_is_no_time(history: History) -> None:
    found = explain(rooms(history), ask(n=None))
    assert {(point.seconds, point.value) for point in found.curve} == {(None, None)}
    assert "value" not in found.limits
    assert found.plan.n == MODE_CANDIDATES["balanced"]
    assert found.threads is None


def test_every_limit_is_listed_the_lowest_first(history: History) -> None:
    budget = Budget(energy="saver", max_candidates=2)
    found = explain(rooms(history), ask(n=None, budget=budget))
    assert found.limits["max_candidates"] == 2
    assert found.limits["energy"] == SAVER_CANDIDATES
    assert list(found.limits.values()) == sorted(found.limits.values())
    assert found.energy == "saver"


def test_a_plan_bound_by_no_reward_lists_that_limit(history: History) -> None:
    found = explain(replace(rooms(history), reward=None), ask(n=None, rule="first"))
    assert (found.plan.n, found.plan.bound_by) == (1, "no_reward")
    assert found.limits["no_reward"] == 1


def test_nothing_is_drawn_and_nothing_recorded(history: History) -> None:
    remember(history)
    before = row_counts(history.path)
    policy = FakePolicy()
    found = explain(rooms(history, policy), ask(n=4))
    assert policy.requests == []
    after = row_counts(history.path)
    assert after["generations"] == before["generations"] == 0
    assert found.plan.examples > 0
    assert found.prepared_s > 0


def test_it_is_json_as_it_is(history: History) -> None:
    found = explain(rooms(history), ask(n=MAX_CANDIDATES))
    told = json.loads(json.dumps(found.as_dict()))
    assert told["plan"]["n"] == MAX_CANDIDATES
    assert [point["n"] for point in told["curve"]] == [*CURVE_AT]
    assert told["calibration"]["trusted"] is True
    assert told["notes"] == list(found.notes)
