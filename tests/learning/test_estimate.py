"""The calibration record: what it finds in simulated users, and what it does not claim."""

from __future__ import annotations

import numpy as np

from edge_ttp.learning.calibration import POPULATION
from edge_ttp.learning.estimate import ENOUGH, calibration
from edge_ttp.reward.posterior import Evidence, Floats


def pools(count: int, rho: float, n: int = 16, scale: float = 0.03, seed: int = 0) -> tuple[list[Evidence], Floats]:
    """Pools whose scores (one feature, weight 1) correlate with the utilities by `rho`; utilities spread by .1."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        score, noise = rng.normal(0, 1, (2, n))
        utility = 0.3 + 0.1 * (rho * score + np.sqrt(1 - rho**2) * noise)
        features = scale * (score - score.mean())[:, None]
        found.append(Evidence("written", features, np.full(n, 0.01), utility))
    return found, np.ones((count, 1))


def test_without_labelled_pools_it_is_the_populations() -> None:
    assert calibration([], np.zeros((0, 1))) == POPULATION
    judged = Evidence("accept", np.zeros((4, 1)), np.ones(4))
    assert calibration([judged], np.ones((1, 1))) == POPULATION


def test_many_pools_tell_the_correlation_the_spread_and_the_slope() -> None:
    for rho in (0.1, 0.5, 0.7):
        found = calibration(*pools(200, rho))
        assert abs(found.rho - rho) < 0.06
        assert abs(found.spread - 0.1) < 0.01
        assert abs(found.slope - rho * 0.1 / 0.03) < 0.3
        assert found.queries == 200
        assert not found.collapsed
        assert found.rho_sd < 0.05


def test_few_pools_stay_near_the_population() -> None:
    found = calibration(*pools(1, 0.9))
    assert abs(found.rho - POPULATION.rho) < abs(found.rho - 0.9)
    assert found.rho_sd > 0.1


def test_a_score_that_prefers_the_worse_is_hacked_and_one_that_is_aligned_is_not() -> None:
    assert calibration(*pools(40, -0.7)).hacked > 0.8
    assert calibration(*pools(40, 0.6)).hacked == 0.0
    assert calibration(*pools(ENOUGH - 1, -0.7)).hacked == 0.0  # too few for a verdict


def test_scores_without_spread_are_collapsed() -> None:
    assert calibration(*pools(30, 0.0, scale=0.0005, seed=1)).collapsed
    assert not calibration(*pools(30, 0.6, scale=0.0005)).collapsed  # small, but they order
    assert not calibration(*pools(30, 0.0, seed=1)).collapsed


def test_pools_whose_utilities_are_all_equal_say_nothing() -> None:
    some, weights = pools(4, 0.5)
    flat = [Evidence("written", one.features, one.noise, np.zeros(16)) for one in some]
    assert calibration(flat, weights) == POPULATION
    assert calibration([*some, *flat], np.ones((8, 1))).queries == 4
