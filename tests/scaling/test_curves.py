"""Best-of-n curves against brute force over all subsets, ceilings against their own forms."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_ttp.errors import InvalidInput
from edge_ttp.scaling import (
    best_of_n,
    curve_of_rule,
    expected_maximum,
    exponential_ceiling,
    exponential_fits_better,
    fit_ceilings,
    gaussian_ceiling,
    oracle_of_n,
    subset_weights,
)

VALUES = st.floats(-1e3, 1e3, allow_nan=False, width=32)
FEW_VALUES = st.integers(0, 3).map(float)  # many ties


def brute_force(utility: np.ndarray, score: np.ndarray, n: int) -> float:
    """Mean over all subsets of size n of the mean utility of those with the largest score."""
    picked = []
    for subset in combinations(range(len(utility)), n):
        members = np.array(subset)
        best = members[score[members] == score[members].max()]
        picked.append(utility[best].mean())
    return float(np.mean(picked))


@given(
    st.integers(1, 8).flatmap(lambda n: st.tuples(arrays(float, n, elements=VALUES), arrays(float, n, elements=VALUES)))
)
def test_curves_are_means_over_all_subsets(pool: tuple[np.ndarray, np.ndarray]) -> None:
    utility, score = pool
    expected = [brute_force(utility, score, n) for n in range(1, len(utility) + 1)]
    assert best_of_n(utility, score) == pytest.approx(expected, abs=1e-9)


@given(
    st.integers(1, 8).flatmap(
        lambda n: st.tuples(arrays(float, n, elements=VALUES), arrays(float, n, elements=FEW_VALUES))
    )
)
def test_ties_are_shared_evenly(pool: tuple[np.ndarray, np.ndarray]) -> None:
    utility, score = pool
    expected = [brute_force(utility, score, n) for n in range(1, len(utility) + 1)]
    assert best_of_n(utility, score) == pytest.approx(expected, abs=1e-9)


@given(arrays(float, (4, 7), elements=VALUES), arrays(float, (4, 7), elements=FEW_VALUES), st.randoms())
def test_curves_do_not_depend_on_the_order_of_the_candidates(
    utility: np.ndarray, score: np.ndarray, random: object
) -> None:
    order = list(range(7))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert best_of_n(utility[:, order], score[:, order]) == pytest.approx(best_of_n(utility, score), abs=1e-9)


@given(arrays(float, (3, 6), elements=VALUES), arrays(float, (3, 6), elements=VALUES))
def test_curves_start_at_the_mean_and_stay_below_the_oracle(utility: np.ndarray, score: np.ndarray) -> None:
    measured, oracle = best_of_n(utility, score), oracle_of_n(utility)
    assert measured[:, 0] == pytest.approx(utility.mean(axis=1), abs=1e-9)
    assert (measured <= oracle + 1e-9).all()
    assert (np.diff(oracle, axis=1) >= -1e-9).all()
    assert oracle == pytest.approx(best_of_n(utility, utility), abs=1e-9)
    assert oracle[:, -1] == pytest.approx(utility.max(axis=1), abs=1e-9)


def test_a_score_that_never_differs_is_a_random_pick() -> None:
    utility = np.random.default_rng(0).random((5, 9))
    curve = best_of_n(utility, np.zeros((5, 9)))
    assert curve == pytest.approx(np.tile(utility.mean(axis=1)[:, None], 9))


@pytest.mark.parametrize("size", [1, 2, 5, 16, 60])
def test_weights_are_hypergeometric(size: int) -> None:
    expected = [[comb(i - 1, n - 1) / comb(size, n) for i in range(1, size + 1)] for n in range(1, size + 1)]
    assert subset_weights(size) == pytest.approx(np.array(expected), rel=1e-12, abs=1e-300)


def test_weights_of_large_pools_are_finite_and_sum_to_one() -> None:
    weights = subset_weights(5000, [1, 2, 100, 2500, 4999, 5000])
    assert np.isfinite(weights).all()
    assert weights.sum(axis=1) == pytest.approx(np.ones(6), abs=1e-12)


def test_the_curve_is_unbiased_for_fresh_pools() -> None:
    rng = np.random.default_rng(3)
    rho = 0.6
    z = rng.standard_normal((20_000, 16))
    score = rho * z + np.sqrt(1 - rho**2) * rng.standard_normal(z.shape)
    assert best_of_n(z, score).mean(axis=0) == pytest.approx(rho * expected_maximum(range(1, 17)), abs=0.02)


@pytest.mark.parametrize("n", [[0], [5], [-1]])
def test_sizes_outside_the_pool_are_refused(n: list[int]) -> None:
    with pytest.raises(InvalidInput):
        subset_weights(4, n)
    with pytest.raises(InvalidInput):
        best_of_n(np.zeros(4), np.zeros(3))


def test_a_rule_that_ignores_the_others_has_the_exact_curve() -> None:
    rng = np.random.default_rng(4)
    utility, score = rng.random(12), rng.random(12)
    curve = curve_of_rule(utility, lambda members: score[members], [1, 2, 6, 12], subsets=4000, rng=rng)
    exact = best_of_n(utility, score, [1, 2, 6, 12])
    assert curve.error[[0, 3]] == pytest.approx([0, 0])
    assert curve.value[[0, 3]] == pytest.approx(exact[[0, 3]])
    assert (np.abs(curve.value - exact)[1:3] < 4 * curve.error[1:3]).all()


def test_a_rule_that_looks_at_the_others_is_scored_anew_in_every_subset() -> None:
    """Consensus of two cannot tell them apart; ranked once over the pool it would seem to."""
    rng = np.random.default_rng(5)
    points = rng.normal(size=10)
    utility = -np.abs(points)
    likeness = -np.abs(points[:, None] - points[None, :])

    def consensus(members: np.ndarray) -> np.ndarray:
        return likeness[np.ix_(members, members)].sum(axis=1)

    curve = curve_of_rule(utility, consensus, [2, 10], subsets=3000, rng=rng)
    assert abs(curve.value[0] - utility.mean()) < 4 * curve.error[0]
    wrong = best_of_n(utility, likeness.sum(axis=1), [2])[0]
    assert wrong - utility.mean() > 10 * curve.error[0]
    assert curve.value[1] > utility.mean()


def test_ties_in_a_rule_are_shared() -> None:
    curve = curve_of_rule(
        np.array([0.0, 1.0, 5.0]), lambda members: np.zeros(len(members)), [3], subsets=2, rng=np.random.default_rng(0)
    )
    assert curve.value == pytest.approx([2.0])


@pytest.mark.parametrize("scores", [np.zeros(2), np.array([0.0, np.nan, 1.0])])
def test_a_rule_must_score_each_member(scores: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="rule"):
        curve_of_rule(np.zeros(3), lambda members: scores, [3], subsets=2, rng=np.random.default_rng(0))


def test_ceilings_find_their_own_form() -> None:
    n = range(1, 33)
    found = fit_ceilings(n, exponential_ceiling(n, 0.07))
    assert found.better == "exponential"
    assert found.exponential.scale == pytest.approx(0.07)
    assert found.exponential.rmse == pytest.approx(0, abs=1e-12)
    assert found.exponential.r2 == pytest.approx(1)
    assert found.gaussian.worst > 0.005
    found = fit_ceilings(n, gaussian_ceiling(n, 0.2))
    assert found.better == "gaussian"
    assert found.gaussian.scale == pytest.approx(0.2)
    curves = np.array([gaussian_ceiling(n, 0.2), exponential_ceiling(n, 0.07), exponential_ceiling(n, 1.0)])
    assert exponential_fits_better(n, curves) == pytest.approx(2 / 3)


@given(st.floats(1e-3, 1e3), st.integers(3, 64))
def test_a_ceiling_scales_with_its_utilities(scale: float, size: int) -> None:
    rng = np.random.default_rng(size)
    gain = oracle_of_n(rng.random((50, size))).mean(axis=0)
    gain = gain - gain[0]
    one, other = fit_ceilings(range(1, size + 1), gain), fit_ceilings(range(1, size + 1), scale * gain)
    assert other.gaussian.scale == pytest.approx(scale * one.gaussian.scale)
    assert other.exponential.rmse == pytest.approx(scale * one.exponential.rmse, abs=1e-9)
    assert other.better == one.better


def test_a_ceiling_needs_two_points() -> None:
    with pytest.raises(InvalidInput, match="two or more"):
        fit_ceilings([1, 2], np.array([0.0, 1.0]))
