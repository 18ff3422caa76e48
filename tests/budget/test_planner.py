"""How many candidates: every limit, alone and together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ttp.budget.planner import BATTERY_CANDIDATES, MODE_CANDIDATES, SAVER_CANDIDATES, Limits, plan
from edge_ttp.schema import MAX_CANDIDATES, Budget

SECONDS = 1.0 + 0.1 * np.arange(1, MAX_CANDIDATES + 1)  # one candidate takes 1.1 s, each further one 0.1 s


@pytest.mark.parametrize("mode", MODE_CANDIDATES)
def test_the_mode_decides_where_nothing_else_does(mode: str) -> None:
    planned = plan(None, Budget(mode=mode), Limits())  # type: ignore[arg-type]
    assert (planned.n, planned.bound_by) == (MODE_CANDIDATES[mode], "mode")  # type: ignore[index]
    assert planned.expected_s is None
    assert planned.notes == ()


def test_the_largest_number_that_fits_the_deadline_is_taken() -> None:
    planned = plan(SECONDS, Budget(mode="best"), Limits(deadline_s=1.55))
    assert (planned.n, planned.bound_by) == (5, "deadline")
    assert planned.expected_s == pytest.approx(1.5)


def test_a_deadline_exactly_met_counts_as_met() -> None:
    assert plan(np.array([1.0, 2.0, 3.0]), Budget(), Limits(deadline_s=2.0)).n == 2


def test_a_dip_in_the_measured_times_does_not_let_a_larger_number_through() -> None:
    seconds = np.array([1.0, 3.0, 2.0, 4.0])
    assert plan(seconds, Budget(), Limits(deadline_s=2.5)).n == 1


def test_one_candidate_is_tried_where_none_fits_and_the_plan_says_so() -> None:
    planned = plan(SECONDS, Budget(), Limits(deadline_s=0.2))
    assert (planned.n, planned.bound_by) == (1, "deadline")
    assert planned.notes == ("even one candidate may not fit the deadline; it ends when the deadline does",)


def test_a_deadline_without_measured_times_binds_nothing() -> None:
    assert plan(None, Budget(), Limits(deadline_s=0.001)).bound_by == "mode"


def test_the_memory_decides_where_it_holds_fewest() -> None:
    planned = plan(SECONDS, Budget(), Limits(width=3, deadline_s=100.0))
    assert (planned.n, planned.bound_by) == (3, "memory")
    assert plan(SECONDS, Budget(), Limits(width=0)).n == 1


@pytest.mark.parametrize(("energy", "most"), [("battery", BATTERY_CANDIDATES), ("saver", SAVER_CANDIDATES)])
def test_little_energy_means_fewer_candidates(energy: str, most: int) -> None:
    planned = plan(SECONDS, Budget(mode="best", energy=energy), Limits())  # type: ignore[arg-type]
    assert (planned.n, planned.bound_by) == (most, "energy")


def test_saver_never_asks_for_more_than_battery_and_battery_not_for_more_than_mains() -> None:
    for mode in MODE_CANDIDATES:
        counts = [plan(None, Budget(mode=mode, energy=energy), Limits()).n for energy in ("saver", "battery", "mains")]
        assert counts == sorted(counts)


def test_more_than_one_is_wasted_where_nothing_can_tell_them_apart() -> None:
    planned = plan(SECONDS, Budget(mode="best"), Limits(scored=False))
    assert (planned.n, planned.bound_by) == (1, "no_reward")


def test_a_number_asked_for_wins_over_mode_energy_and_a_missing_reward_model() -> None:
    planned = plan(None, Budget(mode="fast", energy="saver"), Limits(requested=40, scored=False))
    assert (planned.n, planned.bound_by, planned.notes) == (40, "requested", ())


@pytest.mark.parametrize(
    ("budget", "limits", "n", "bound"),
    [
        (Budget(max_candidates=7), Limits(requested=40), 7, "max candidates"),
        (Budget(), Limits(requested=40, width=9), 9, "memory"),
        (Budget(), Limits(requested=40, deadline_s=1.55), 5, "deadline"),
    ],
)
def test_a_number_asked_for_that_does_not_fit_is_lowered_and_the_plan_says_so(
    budget: Budget, limits: Limits, n: int, bound: str
) -> None:
    planned = plan(SECONDS, budget, limits)
    assert planned.n == n
    assert planned.notes == (f"40 candidates were asked for, {n} fit ({bound})",)


@given(
    requested=st.none() | st.integers(1, 1000),
    deadline=st.none() | st.floats(0.01, 50),
    width=st.none() | st.integers(0, 300),
    most=st.none() | st.integers(1, MAX_CANDIDATES),
    mode=st.sampled_from(list(MODE_CANDIDATES)),
    scored=st.booleans(),
)
def test_every_plan_keeps_every_limit_and_has_at_least_one_candidate(
    requested: int | None, deadline: float | None, width: int | None, most: int | None, mode: str, scored: bool
) -> None:
    limits = Limits(requested=requested, deadline_s=deadline, width=width, scored=scored)
    planned = plan(SECONDS, Budget(max_candidates=most, mode=mode), limits)  # type: ignore[arg-type]
    caps = [MAX_CANDIDATES]
    caps += [max(1, int((deadline >= SECONDS).sum()))] if deadline is not None else []
    caps += [max(1, width)] if width is not None else []
    caps += [most] if most is not None else []
    caps += [requested] if requested is not None else [MODE_CANDIDATES[mode], *([] if scored else [1])]  # type: ignore[index]
    assert planned.n == min(caps)
    assert planned.expected_s == pytest.approx(SECONDS[planned.n - 1])
