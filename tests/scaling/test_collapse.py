"""Who counts as collapsed: little spread for this score and this user, and no correlation."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ttp.scaling import Users, judge_users
from tests.scaling.makers import gaussian_pools

USERS, QUERIES = 30, 12


def judged(rho: np.ndarray, spread: np.ndarray) -> Users:
    """The table for users with one correlation and one score spread each."""
    user = np.repeat(np.arange(len(rho)), QUERIES)
    pools = gaussian_pools(rho[user], user, spread=spread[user])
    return judge_users(pools.evidence(), user, len(rho))


def test_scores_of_little_spread_and_no_correlation_have_collapsed() -> None:
    rho, spread = np.full(USERS, 0.5), np.ones(USERS)
    rho[:10], spread[:10] = 0.0, 0.02
    table = judged(rho, spread)
    assert list(np.flatnonzero(table.collapsed)) == list(range(10))
    assert table.relative[0] == pytest.approx(0.02, abs=0.005)
    assert not table.majority
    assert table.enough.all()


def test_scores_of_little_spread_that_are_right_have_not_collapsed() -> None:
    rho, spread = np.full(USERS, 0.5), np.ones(USERS)
    spread[:5] = 0.02
    assert not judged(rho, spread).collapsed.any()


def test_scores_without_correlation_that_differ_have_not_collapsed() -> None:
    rho = np.full(USERS, 0.5)
    rho[:5] = 0.0
    assert not judged(rho, np.ones(USERS)).collapsed.any()


def test_alike_candidates_excuse_a_low_spread() -> None:
    """The utilities of these users spread as little as their scores: nothing has collapsed."""
    user = np.repeat(np.arange(USERS), QUERIES)
    rng = np.random.default_rng(0)
    scale = np.where(user < 10, 0.02, 1.0)[:, None]
    z = rng.standard_normal((len(user), 16))
    from edge_ttp.scaling import Pools

    pools = Pools.from_matrices(scale * z, scale * rng.standard_normal(z.shape), user)
    assert not judge_users(pools.evidence(), user, USERS).collapsed.any()


def test_constant_scores_have_collapsed_even_for_everybody() -> None:
    table = judged(np.zeros(USERS), np.zeros(USERS))
    assert table.collapsed.all()
    assert table.typical == 0
    assert np.isnan(table.relative).all()


def test_if_most_users_collapsed_the_others_say_what_is_typical() -> None:
    rho, spread = np.zeros(USERS), np.full(USERS, 0.02)
    rho[:8], spread[:8] = 0.6, 1.0
    table = judged(rho, spread)
    assert table.majority
    assert list(np.flatnonzero(table.collapsed)) == list(range(8, USERS))


def test_the_limit_can_be_moved() -> None:
    rho, spread = np.full(USERS, 0.5), np.ones(USERS)
    rho[:4], spread[:4] = 0.0, [0.03, 0.08, 0.13, 0.3]
    table = judged(rho, spread)
    assert [int(table.collapsed_below(part).sum()) for part in (0.05, 0.1, 0.15, 0.2)] == [1, 2, 3, 3]


def test_few_queries_are_not_enough_for_a_user_alone_and_none_are_unknown() -> None:
    user = np.array([0] * 9 + [1] * 10 + [2])
    pools = gaussian_pools(np.full(20, 0.5), user)
    utility = pools.utility.copy()
    utility[-16:] = 0.3  # the only query of user 2 carries no information
    from dataclasses import replace

    table = judge_users(replace(pools, utility=utility).evidence(), user, 3)
    assert list(table.informative) == [9, 10, 0]
    assert list(table.enough) == [False, True, False]
    assert np.isnan(table.rho[2])
    assert np.isnan(table.spread[2])
    assert not table.collapsed[2]


def test_intervals_of_pooled_correlations_hold_the_truth_most_of_the_time() -> None:
    held = [
        (table.low <= 0.4) & (table.high >= 0.4)
        for table in (judged_with_seed(np.full(USERS, 0.4), seed) for seed in range(20))
    ]
    assert 0.82 < np.mean(held) < 0.96


def judged_with_seed(rho: np.ndarray, seed: int) -> Users:
    user = np.repeat(np.arange(len(rho)), QUERIES)
    return judge_users(gaussian_pools(rho[user], user, seed=seed).evidence(), user, len(rho))
