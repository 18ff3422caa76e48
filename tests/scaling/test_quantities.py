"""The four quantities: what is recovered, what the units of a score must not change, and what is unknown."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.scaling import Pools, Quantities, best_of_n, four_quantities
from tests.scaling.makers import gaussian_pools

USERS, QUERIES = 60, 10


def broken(seed: int = 0, size: int = 16) -> Pools:
    """A quarter of the users collapsed, a fifth of the other queries flipped."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(USERS), QUERIES)
    collapsed = user < USERS // 4
    rho = np.where(rng.random(len(user)) < 0.2, -0.6, 0.7) * ~collapsed
    return gaussian_pools(rho, user, size, spread=np.where(collapsed, 0.01, 1.0), seed=seed)


def judged(pools: Pools, **options: int) -> Quantities:
    return four_quantities(pools.evidence(), pools.user, pools.users, resamples=options.pop("resamples", 60), **options)


@pytest.mark.slow
def test_a_broken_reward_model_is_measured() -> None:
    found = judged(broken(), resamples=200)
    assert found.c.value == pytest.approx(0.25, abs=0.01)
    assert found.h.value == pytest.approx(0.2, abs=0.05)
    assert found.rho_plus.value == pytest.approx(0.7, abs=0.03)
    assert found.rho_minus.value == pytest.approx(0.6, abs=0.05)
    assert found.share.value == pytest.approx(0.75 * (0.8 * 0.7 - 0.2 * 0.6), abs=0.05)
    assert found.sigma.value == pytest.approx(0.1, abs=0.005)
    assert found.inflation == pytest.approx(1, abs=0.1)
    assert found.over == "users"
    for one in (found.c, found.h, found.rho_plus, found.rho_minus, found.net, found.share, found.sigma):
        assert one.low <= one.value <= one.high
        assert one.high - one.low < 0.2


def test_the_law_is_the_direct_share() -> None:
    found = judged(broken())
    assert found.law is not None
    assert found.law.share == pytest.approx(found.share.value, abs=0.02)


def test_units_of_the_score_do_not_matter() -> None:
    pools = broken()
    one, other = judged(pools), judged(pools.rescored(1e-4 * pools.score + 7))
    for name in ("c", "h", "rho_plus", "rho_minus", "share"):
        assert getattr(other, name).value == pytest.approx(getattr(one, name).value, abs=1e-6)


def test_a_score_turned_around_swaps_the_aligned_and_the_hacked() -> None:
    pools = broken()
    one, other = judged(pools), judged(pools.rescored(-pools.score))
    assert other.c.value == pytest.approx(one.c.value)
    assert other.h.value == pytest.approx(1 - one.h.value, abs=0.01)
    assert other.rho_plus.value == pytest.approx(one.rho_minus.value, abs=0.02)
    assert other.net.value == pytest.approx(-one.net.value, abs=1e-9)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_intervals() -> None:
    pools = broken()
    one, same, other = judged(pools, seed=3), judged(pools, seed=3), judged(pools, seed=4)
    assert (one.h, one.share) == (same.h, same.share)
    assert one.h.value == other.h.value
    assert one.h.low != other.h.low


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_the_oracle_and_its_opposite_are_the_ends() -> None:
    pools = gaussian_pools(np.full(600, 0.5), np.repeat(np.arange(60), 10))
    oracle = judged(pools.rescored(pools.utility))
    assert oracle.share.value == pytest.approx(1)
    assert oracle.h.value == pytest.approx(0, abs=1e-6)
    assert oracle.rho_plus.value == pytest.approx(1, abs=0.01)
    assert not oracle.rho_minus.known
    opposite = judged(pools.rescored(-pools.utility))
    assert opposite.h.value == pytest.approx(1, abs=1e-6)
    assert opposite.h.low > 0.9, "and it is told from none"
    assert opposite.net.value == pytest.approx(-1)


def test_a_healthy_score_has_hacking_that_cannot_be_told_from_none() -> None:
    found = judged(gaussian_pools(np.full(600, 0.5), np.repeat(np.arange(60), 10)))
    assert found.h.low == 0
    assert found.h.high < 0.05
    assert found.c.value == 0
    assert 0 < found.c.high < 0.1
    assert found.naive.h > found.h.value


def test_one_user_has_no_collapse_rate_and_intervals_over_queries() -> None:
    found = judged(gaussian_pools(np.full(100, 0.5), np.zeros(100, dtype=np.int64)))
    assert not found.c.known
    assert found.over == "queries"
    assert found.h.known
    assert found.share.value == pytest.approx(0.5, abs=0.06)


def test_small_pools_have_a_share_but_no_hacking_rate() -> None:
    found = judged(broken(size=6))
    assert not found.h.known
    assert not found.rho_plus.known
    assert found.law is None
    assert found.net.known
    assert found.c.known
    assert np.isnan(found.p_hacked).all()


def test_pairs_have_the_share_that_is_measured() -> None:
    pools = gaussian_pools(np.full(3000, 0.5), np.repeat(np.arange(300), 10), 2)
    found = judged(pools)
    utility, score = pools.utility.reshape(-1, 2), pools.score.reshape(-1, 2)
    gained = best_of_n(utility, score, [2]).mean() - utility.mean()
    assert found.share.value == pytest.approx(gained / (utility.max(axis=1).mean() - utility.mean()))
    assert found.share.value == pytest.approx(0.5, abs=0.05)


def test_few_pools_have_no_hacking_rate() -> None:
    found = judged(gaussian_pools(np.full(29, 0.5), np.arange(29)))
    assert not found.h.known
    assert found.net.value == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("size", [1, 16])
def test_pools_that_say_nothing_leave_everything_unknown(size: int) -> None:
    user = np.repeat(np.arange(10), 5)
    pools = Pools.from_matrices(np.full((50, size), 0.3), np.random.default_rng(0).random((50, size)), user)
    found = judged(pools)
    assert found.informative == 0
    for one in (found.c, found.h, found.rho_plus, found.rho_minus, found.net, found.share, found.sigma):
        assert not one.known


def test_a_constant_score_has_collapsed_for_everybody_and_nothing_else_is_known() -> None:
    pools = broken()
    found = judged(pools.rescored(np.full(len(pools.score), 0.25)))
    assert found.c.value == 1
    assert not found.h.known
    assert not found.net.known


@pytest.mark.slow
def test_flat_queries_of_healthy_users_count_as_correlation_zero() -> None:
    user = np.repeat(np.arange(60), 10)
    pools = gaussian_pools(np.full(600, 0.8), user)
    score = pools.score.reshape(600, 16).copy()
    score[::4] = 0.5
    found = judged(pools.rescored(score.ravel()))
    assert found.flat == 150
    assert found.c.value == 0
    assert found.h.value == pytest.approx(0, abs=0.01)
    assert found.rho_plus.value == pytest.approx(0.6, abs=0.03)
    assert found.net.value == pytest.approx(0.6, abs=0.03)


def test_too_few_resamples_are_refused() -> None:
    with pytest.raises(InvalidInput, match="resamples"):
        judged(broken(), resamples=5)
