"""Pools as columns, and the gains that curves are made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ttp.errors import InvalidInput
from edge_ttp.scaling import Pools, best_of_n, correlate, gains, oracle_of_n
from edge_ttp.scaling.pools import LONGEST_CURVE
from tests.scaling.makers import gaussian_pools


@given(st.lists(st.integers(0, 4), min_size=5, max_size=40), st.integers(0, 1000))
def test_candidates_in_any_order_end_up_with_their_query(queries: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    _, query = np.unique(np.array(queries), return_inverse=True)
    utility = rng.random(len(query))
    user = np.arange(query.max() + 1) % 2
    pools, order = Pools.of(utility, utility * 2, query, user)
    for number in range(len(pools)):
        mine = pools.utility[pools.start[number] : pools.start[number + 1]]
        assert sorted(mine) == sorted(utility[query == number])
    assert pools.utility == pytest.approx(utility[order])
    assert pools.size.sum() == len(query)


def test_evidence_of_mixed_sizes_is_that_of_each_query() -> None:
    rng = np.random.default_rng(0)
    sizes = [3, 8, 5, 8, 1]
    query = np.repeat(np.arange(5), sizes)
    utility, score = rng.random(25), rng.random(25)
    pools, _ = Pools.of(utility, score, query, np.zeros(5, dtype=np.int64))
    evidence = pools.evidence()
    for number in range(5):
        alone = correlate(utility[query == number][None], score[query == number][None])
        for name in ("rho", "weight", "reach", "inflation", "utility_mean", "score_sd"):
            assert getattr(evidence, name)[number] == pytest.approx(getattr(alone, name)[0], nan_ok=True)
    assert list(evidence.size) == sizes


def test_gains_are_curves_over_the_mean_summed_by_group() -> None:
    user = np.repeat(np.arange(4), 5)
    pools = gaussian_pools(np.full(20, 0.5), user, 9)
    found = gains(pools, pools.evidence(), user, 4)
    utility, score = pools.utility.reshape(20, 9), pools.score.reshape(20, 9)
    mean = utility.mean(axis=1, keepdims=True)
    for one in range(4):
        assert found.measured[one] == pytest.approx((best_of_n(utility, score) - mean)[user == one].sum(axis=0))
        assert found.oracle[one] == pytest.approx((oracle_of_n(utility) - mean)[user == one].sum(axis=0))
    assert (found.measured[:, 0] == 0).all()
    assert list(found.queries) == [5, 5, 5, 5]
    assert found.left_out == 0


def test_linear_gains_are_exact_where_utility_is_linear_in_the_score() -> None:
    score = np.random.default_rng(0).exponential(size=(30, 12))
    pools = Pools.from_matrices(0.2 * score + 1, score, np.zeros(30, dtype=np.int64))
    found = gains(pools, pools.evidence(), pools.user, 1)
    assert found.spaced == pytest.approx(found.measured)
    assert found.oracle == pytest.approx(found.measured)


def test_the_curve_ends_where_a_tenth_of_the_pools_would_be_missing() -> None:
    rng = np.random.default_rng(0)
    sizes = np.array([16] * 90 + [32] * 5 + [4] * 5)
    query = np.repeat(np.arange(100), sizes)
    pools, _ = Pools.of(rng.random(len(query)), rng.random(len(query)), query, np.zeros(100, dtype=np.int64))
    found = gains(pools, pools.evidence(), pools.user, 1)
    assert found.n[-1] == 16
    assert found.left_out == 5


def test_pools_that_do_not_match_are_refused() -> None:
    with pytest.raises(InvalidInput):
        Pools(np.zeros(3), np.zeros(2), np.array([0, 3]), np.array([0]))
    with pytest.raises(InvalidInput):
        Pools(np.zeros(3), np.zeros(3), np.array([0, 0, 3]), np.array([0, 0]))


def test_curves_of_huge_pools_end_where_no_request_goes_on() -> None:
    rng = np.random.default_rng(0)
    pools = Pools.from_matrices(rng.random((3, 300)), rng.random((3, 300)), np.zeros(3, dtype=np.int64))
    found = gains(pools, pools.evidence(), pools.user, 1)
    assert found.n[-1] == LONGEST_CURVE == 256
    assert found.left_out == 0
