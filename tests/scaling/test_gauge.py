"""The gauge: which queries it is over, that resamples are the fit itself where they change nothing, flat queries."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ttp.scaling.correlation import QueryEvidence
from edge_ttp.scaling.gauge import ENOUGH_POOLS, SMALLEST_POOL, Gauge, counts_for_net, estimate_resamples
from tests.scaling.makers import gaussian_pools

QUERIES = 120


def evidence(size: int = 12, queries: int = QUERIES) -> QueryEvidence:
    """A quarter of the queries point the wrong way."""
    rho = np.where(np.arange(queries) % 4 == 0, -0.6, 0.7)
    return gaussian_pools(rho, np.arange(queries) % 20, size).evidence()


def over(found: QueryEvidence, alive: np.ndarray | None = None) -> Gauge:
    gauge = Gauge.over(found, np.ones(len(found), dtype=bool) if alive is None else alive)
    assert gauge is not None
    return gauge


def test_the_queries_that_point_the_wrong_way_are_found() -> None:
    fit = over(evidence()).fit
    assert fit.value.h == pytest.approx(0.25, abs=0.07)
    assert fit.value.rho_plus == pytest.approx(0.7, abs=0.07)
    assert fit.value.rho_minus == pytest.approx(0.6, abs=0.1)
    assert fit.hacked
    assert fit.rho_mass.sum() == pytest.approx(1)
    wrong = np.arange(QUERIES) % 4 == 0
    assert fit.p_hacked[wrong].mean() > 0.8 > 0.2 > fit.p_hacked[~wrong].mean()


def test_small_pools_and_users_that_collapsed_are_left_out_and_too_few_make_no_gauge() -> None:
    found = evidence()
    alive = np.arange(QUERIES) < ENOUGH_POOLS
    assert over(found, alive).queries == ENOUGH_POOLS
    assert Gauge.over(found, np.arange(QUERIES) < ENOUGH_POOLS - 1) is None
    assert Gauge.over(evidence(SMALLEST_POOL - 1), np.ones(QUERIES, dtype=bool)) is None


def test_a_resample_with_every_query_once_is_the_fit_itself() -> None:
    found = evidence()
    gauge = over(found)
    held, flat = gauge.held(np.ones(QUERIES))
    moments = gauge.moments(held[None], np.array([flat]), gauge.second_order.sum(axis=0)[None]).first()
    assert float(moments.h) == pytest.approx(gauge.fit.value.h)
    assert float(moments.rho_plus) == pytest.approx(gauge.fit.value.rho_plus)
    assert flat == 0


def test_flat_queries_dilute_the_aligned_ones_and_the_hacked_share() -> None:
    rho = np.where(np.arange(QUERIES) % 4 == 0, -0.6, 0.7)
    pools = gaussian_pools(rho, np.arange(QUERIES) % 20, 12)
    score = pools.score.reshape(QUERIES, 12).copy()
    score[: QUERIES // 3] = 0.5
    diluted = over(pools.rescored(score.ravel()).evidence())
    rest = over(pools.evidence(), np.arange(QUERIES) >= QUERIES // 3)
    assert diluted.queries == QUERIES
    assert len(diluted.rows) == QUERIES - QUERIES // 3
    assert diluted.fit.value.h == pytest.approx(rest.fit.value.h * 2 / 3, abs=0.02)
    assert diluted.fit.value.rho_plus < rest.fit.value.rho_plus
    assert diluted.fit.value.rho_minus == pytest.approx(rest.fit.value.rho_minus)


def test_the_mean_correlation_is_over_large_pools_where_there_are_any() -> None:
    found = evidence()
    alive = np.arange(QUERIES) < 50
    assert counts_for_net(found, alive).sum() == 50
    small = evidence(3)
    assert counts_for_net(small, alive).sum() == 50
    mixed = gaussian_pools(np.full(4, 0.5), np.arange(4), 3).evidence()
    assert counts_for_net(mixed, np.zeros(4, dtype=bool)).sum() == 0


def test_resamples_follow_their_seed_and_have_no_h_without_a_gauge() -> None:
    found = evidence()
    alive = np.ones(QUERIES, dtype=bool)
    group = np.arange(QUERIES) % 20
    gauge = over(found)
    whole, drawn = estimate_resamples(found, alive, gauge, group=group, groups=20, times=15, seed=2)
    assert float(whole.h[0]) == gauge.fit.value.h
    assert drawn.h.shape == drawn.share.shape == (15,)
    assert drawn.h.min() < gauge.fit.value.h < drawn.h.max()
    again = estimate_resamples(found, alive, gauge, group=group, groups=20, times=15, seed=2)[1]
    assert np.array_equal(drawn.h, again.h)
    bare, spread = estimate_resamples(found, alive, None, group=group, groups=20, times=15, seed=2)
    assert np.isnan(spread.h).all()
    assert float(bare.net[0]) == float(whole.net[0])
    assert np.array_equal(spread.net, drawn.net)


def test_the_share_is_the_mean_correlation_of_those_that_did_not_collapse() -> None:
    found = evidence()
    alive = np.arange(QUERIES) >= QUERIES // 2
    whole, _ = estimate_resamples(found, alive, None, group=np.arange(QUERIES) % 20, groups=20, times=2, seed=0)
    weight = found.weight
    assert float(whole.share[0]) == pytest.approx(float(whole.net[0]) * weight[alive].sum() / weight.sum())
    assert float(whole.sigma[0]) == pytest.approx(found.utility_sd.mean())
