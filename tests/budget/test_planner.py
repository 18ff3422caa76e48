"""How many candidates: the value rule, every limit, and how the way to put a request is chosen."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ttp.budget import planner
from edge_ttp.budget.planner import (
    BATTERY_CANDIDATES,
    DISTRUSTED_CANDIDATES,
    HOT_CANDIDATES,
    MODE_CANDIDATES,
    SAVER_CANDIDATES,
    Option,
    PlanLimits,
    bounds,
    first_wave,
    more,
    part_wave,
    plan,
    price,
)
from edge_ttp.schema import MAX_CANDIDATES, Budget, Mode

N = np.arange(1, MAX_CANDIDATES + 1)
SECONDS = 1.0 + 0.1 * N  # one candidate takes 1.1 s, each further one 0.1 s
GAIN = 0.03 * np.log(N)
OPTION = Option(examples=4, longest=30, seconds=SECONDS, gain=GAIN)
UNKNOWN = replace(OPTION, seconds=None)
FREE = Option(examples=4, longest=30, seconds=1e-9 * N, gain=GAIN)
BEST = Budget(mode="best")


def test_candidates_are_drawn_until_another_is_not_worth_its_time() -> None:
    planned = plan([OPTION], Budget(), PlanLimits())
    assert planned.bound_by == "value"
    value = GAIN - price(Budget()) * SECONDS
    assert planned.n == int(np.argmax(value)) + 1
    assert planned.expected_s == pytest.approx(SECONDS[planned.n - 1])
    assert planned.expected_gain == pytest.approx(GAIN[planned.n - 1])
    assert planned.notes == ()


def test_a_dearer_mode_energy_or_heat_asks_for_fewer() -> None:
    counts = [plan([OPTION], Budget(mode=mode), PlanLimits()).n for mode in ("fast", "balanced", "best")]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]
    by_energy = [price(Budget(energy=energy)) for energy in ("mains", "battery", "saver")]
    assert by_energy == sorted(set(by_energy))
    assert price(Budget(), hot=True) > price(Budget())
    assert price(Budget(energy=None)) == price(Budget(energy="mains"))


def test_a_gain_of_nothing_gets_one_candidate() -> None:
    assert plan([replace(OPTION, gain=np.zeros(256))], BEST, PlanLimits()).n == 1


def test_batches_that_get_cheaper_beyond_a_width_are_found() -> None:
    seconds = np.where(N <= 4, 1.0 * N, 4.0 + 0.01 * N)
    assert plan([replace(OPTION, seconds=seconds)], Budget(), PlanLimits()).n > 4


@pytest.mark.parametrize("mode", MODE_CANDIDATES)
def test_the_mode_decides_where_nothing_was_measured(mode: Mode) -> None:
    planned = plan([UNKNOWN], Budget(mode=mode), PlanLimits())
    assert (planned.n, planned.bound_by, planned.expected_s) == (MODE_CANDIDATES[mode], "mode", None)


def test_the_deadline_holds() -> None:
    planned = plan([OPTION], BEST, PlanLimits(deadline_s=1.55))
    assert (planned.n, planned.bound_by) == (5, "deadline")
    assert plan([OPTION], BEST, PlanLimits(deadline_s=SECONDS[6])).n == 7


def test_a_dip_in_the_predicted_times_does_not_let_a_larger_number_through() -> None:
    dip = replace(OPTION, seconds=np.array([1.0, 3.0, 2.0, 4.0]), gain=GAIN[:4])
    assert plan([dip], BEST, PlanLimits(deadline_s=2.5)).n == 1


def test_one_candidate_of_the_quickest_way_is_tried_where_none_fits_and_the_plan_says_so() -> None:
    quick = Option(examples=0, longest=8, seconds=0.5 * SECONDS, gain=GAIN - 0.1)
    planned = plan([OPTION, quick], Budget(), PlanLimits(deadline_s=0.2))
    assert (planned.n, planned.bound_by, planned.option) == (1, "deadline", quick)
    assert planned.notes == ("even one candidate may not fit the deadline; it ends when the deadline does",)


def test_a_way_with_less_is_taken_only_where_a_deadline_leaves_no_time_for_more() -> None:
    short = Option(examples=1, longest=30, seconds=SECONDS - 0.8, gain=GAIN - 0.01)
    assert plan([OPTION, short], BEST, PlanLimits()).option == OPTION
    assert plan([OPTION, short], BEST, PlanLimits(deadline_s=0.9)).option == short
    assert plan([OPTION, short], Budget(mode="fast"), PlanLimits()).option == OPTION


def test_what_gains_most_per_second_comes_first() -> None:
    bare = Option(examples=0, longest=30, seconds=SECONDS - 0.5, gain=GAIN - 0.2)
    dear = Option(examples=0, longest=30, seconds=SECONDS - 0.5, gain=GAIN - 0.0001)
    assert plan([OPTION, bare], BEST, PlanLimits(deadline_s=1.2)).option == OPTION
    assert plan([OPTION, dear], BEST, PlanLimits(deadline_s=1.2)).option == dear


def test_the_memory_decides_where_it_holds_fewest() -> None:
    narrow = replace(FREE, width=3)
    planned = plan([narrow], BEST, PlanLimits(deadline_s=100.0))
    assert (planned.n, planned.bound_by, planned.most) == (3, "memory", 3)
    assert plan([replace(FREE, width=0)], BEST, PlanLimits()).n == 1


@pytest.mark.parametrize(
    ("budget", "limits", "most", "bound"),
    [
        (Budget(mode="best", energy="battery"), PlanLimits(), BATTERY_CANDIDATES, "energy"),
        (Budget(mode="best", energy="saver"), PlanLimits(), SAVER_CANDIDATES, "energy"),
        (BEST, PlanLimits(hot=True), HOT_CANDIDATES, "heat"),
        (BEST, PlanLimits(trusted=False), DISTRUSTED_CANDIDATES, "trust"),
        (BEST, PlanLimits(scored=False), 1, "no_reward"),
        (Budget(mode="best", max_candidates=7), PlanLimits(), 7, "max_candidates"),
        (BEST, PlanLimits(), MAX_CANDIDATES, "max_candidates"),
    ],
)
def test_every_cap_binds_where_time_costs_nothing(budget: Budget, limits: PlanLimits, most: int, bound: str) -> None:
    planned = plan([FREE], budget, limits)
    assert (planned.n, planned.bound_by, planned.most) == (most, bound, most)


def test_a_number_asked_for_wins_over_value_energy_heat_trust_and_a_missing_reward_model() -> None:
    limits = PlanLimits(requested=40, scored=False, trusted=False, hot=True)
    planned = plan([OPTION], Budget(mode="fast", energy="saver"), limits)
    assert (planned.n, planned.bound_by, planned.notes) == (40, "requested", ())


@pytest.mark.parametrize(
    ("budget", "option", "limits", "n", "bound"),
    [
        (Budget(max_candidates=7), OPTION, PlanLimits(requested=40), 7, "max candidates"),
        (Budget(), replace(OPTION, width=9), PlanLimits(requested=40), 9, "memory"),
        (Budget(), OPTION, PlanLimits(requested=40, deadline_s=1.55), 5, "deadline"),
    ],
)
def test_a_number_asked_for_that_does_not_fit_is_lowered_and_the_plan_says_so(
    budget: Budget, option: Option, limits: PlanLimits, n: int, bound: str
) -> None:
    planned = plan([option], budget, limits)
    assert planned.n == n
    assert planned.notes == (f"40 candidates were asked for, {n} fit ({bound})",)


# Waves


def test_a_part_of_a_large_plan_is_smaller_than_it() -> None:
    assert [part_wave(n) for n in (1, 2, 3)] == [1, 2, 3]
    assert all(1 < part_wave(n) < n for n in (4, 5, 16, 256))


def begun(seconds: np.ndarray, cost: float, n: int = 16, again_s: float = 0.0) -> int:
    """Candidates of the first wave where half the pools will have found their best in it, and half will not."""
    improvement = np.stack([np.zeros(n), 0.01 * np.sqrt(np.arange(1, n + 1))])
    return first_wave(n, seconds=seconds[:n], again_s=again_s, improvement=improvement, cost=cost)


def test_a_plan_is_split_where_waves_cost_no_more_and_time_is_dear() -> None:
    each = 0.1 * N
    assert begun(each, cost=0.1) == part_wave(16)
    assert begun(each, cost=0.1, n=3) == 3
    assert begun(each, cost=0.1, again_s=5.0) == part_wave(16)  # nothing more will be drawn: the dearest plan of all


def test_a_plan_is_drawn_at_once_where_a_second_wave_would_take_as_long_as_the_first() -> None:
    batched = 1.0 + 0.001 * N
    assert begun(batched, cost=0.01) == 16


def test_more_are_drawn_while_they_are_worth_their_time_and_fit() -> None:
    seconds, improvement = 0.1 * N[:8], 0.02 * np.sqrt(N[:8])
    assert more(seconds, improvement, 1e-6, most=8, left_s=None) == 8
    assert more(seconds, improvement, 1e-6, most=5, left_s=None) == 5
    assert more(seconds, improvement, 1e-6, most=8, left_s=0.35) == 3
    assert more(seconds, improvement, 1e-6, most=8, left_s=0.05) == 0
    assert more(seconds, improvement, 10.0, most=8, left_s=None) == 0
    assert 0 < more(seconds, improvement, 0.1, most=8, left_s=None) < 8
    assert more(seconds, improvement, 1e-6, most=0, left_s=None) == 0


# Everything at once


@given(
    requested=st.none() | st.integers(1, 1000),
    deadline=st.none() | st.floats(0.01, 50),
    width=st.none() | st.integers(0, 300),
    most=st.none() | st.integers(1, MAX_CANDIDATES),
    mode=st.sampled_from(list(MODE_CANDIDATES)),
    scored=st.booleans(),
    trusted=st.booleans(),
    hot=st.booleans(),
)
def test_every_plan_keeps_every_limit_and_has_at_least_one_candidate(
    requested: int | None,
    deadline: float | None,
    width: int | None,
    most: int | None,
    mode: Mode,
    scored: bool,
    trusted: bool,
    hot: bool,
) -> None:
    limits = PlanLimits(requested=requested, deadline_s=deadline, scored=scored, trusted=trusted, hot=hot)
    budget = Budget(max_candidates=most, mode=mode)
    option = replace(OPTION, width=width)
    planned = plan([option], budget, limits)
    caps = {name: n for n, name in bounds(option, budget, limits)}
    assert 1 <= planned.n <= min(caps.values())
    assert planned.n == min(caps.values()) or planned.bound_by == "value"
    assert planned.expected_s == pytest.approx(SECONDS[planned.n - 1])
    assert planned.most >= planned.n


@given(
    deadlines=st.lists(st.floats(0.01, 60), min_size=2, max_size=8),
    requested=st.none() | st.integers(1, 40),
    reading=st.floats(0.01, 2),
    drawing=st.lists(st.floats(0.001, 0.5), min_size=2, max_size=3),
    worths=st.lists(st.floats(0, 0.05), min_size=3, max_size=5),
    lost=st.lists(st.floats(0, 0.1), min_size=2, max_size=3),
    mode=st.sampled_from(list(MODE_CANDIDATES)),
)
def test_more_time_never_means_less_of_anything_and_enough_time_is_as_good_as_any(
    deadlines: list[float],
    requested: int | None,
    reading: float,
    drawing: list[float],
    worths: list[float],
    lost: list[float],
    mode: Mode,
) -> None:
    worth, lacking = np.cumsum(worths), np.cumsum(lost)[::-1] - min(np.cumsum(lost)[::-1])
    options = [
        Option(
            examples=examples,
            longest=8 * (2**length),
            seconds=reading * (examples + 1) + np.cumsum(drawing)[length] * (1 + 0.1 * N[:64] + 0.2 * (N[:64] > 4)),
            gain=GAIN[:64] - (worth[-1] - worth[examples]) - lacking[length],
        )
        for examples in range(len(worths))
        for length in range(min(len(drawing), len(lost)))
    ]
    limits, budget = PlanLimits(requested=requested), Budget(mode=mode)
    free = plan(options, budget, limits)
    assert free.option == max(options, key=lambda one: (one.examples, one.longest))
    assert free.expected_s is not None
    found = [plan(options, budget, replace(limits, deadline_s=seconds)) for seconds in sorted(deadlines)]
    for less, more_time in itertools.pairwise([*found, free]):
        assert less.option.examples <= more_time.option.examples
        assert less.option.longest <= more_time.option.longest
        assert less.n <= more_time.n
    enough = plan(options, budget, replace(limits, deadline_s=free.expected_s))
    assert (enough.option, enough.n, enough.bound_by) == (free.option, free.n, free.bound_by)
    for seconds, planned in zip(sorted(deadlines), found, strict=True):
        assert planned.notes or planned.expected_s <= seconds


def test_prices_are_stated_in_units_of_the_population() -> None:
    from edge_ttp.learning.calibration import POPULATION

    assert pytest.approx(POPULATION.spread) == planner.UTILITY_UNIT
