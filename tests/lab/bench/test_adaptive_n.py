"""Adaptive N against fixed N on made-up pools."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edge_ttp.budget.cost import KNOTS, Speed
from edge_ttp.budget.device_profile import Profile
from edge_ttp.lab.bench import adaptive_n
from edge_ttp.lab.bench.adaptive_n import TimePrice, compare
from edge_ttp.lab.bench.scored_pools import ScoredPool

SPEED = Speed(0.01, 0.002, 1e-7, tuple(0.02 + 0.01 * rows for rows in KNOTS), 1e-9)


DEVICE = Profile({1: SPEED}, {1: SPEED})


def made_up(rho: Callable[[int], float], count: int = 24, size: int = 16) -> list[ScoredPool]:
    """Pools whose scores have these correlations with their utilities, calibrated."""
    rng = np.random.default_rng(5)
    pools = []
    for query in range(count):
        utility = 0.07 * rng.normal(size=size)
        mean = rho(query) * (rho(query) * utility + 0.07 * np.sqrt(1 - rho(query) ** 2) * rng.normal(size=size))
        tokens = rng.integers(8, 30, size)
        pools.append(ScoredPool("policy", f"user {query}", f"{query}", utility, mean, np.zeros(size), tokens))
    return pools


@pytest.mark.usefixtures("few")
def test_an_oracle_gains_over_fixed_n_and_times_are_compared_at_their_mean() -> None:
    found = compare(made_up(lambda query: 0.6 if query % 2 else 0.1), TimePrice(0.01, DEVICE, 1))
    assert found["oracle_gain"] > 0
    assert found["low"] <= found["gain_over_best_fixed"] <= found["high"]
    assert 1 <= found["mean_n"] <= 16
    assert found["queries"] == found["users"] == 24


@pytest.mark.usefixtures("few")
def test_a_rule_that_always_takes_the_same_n_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptive_n.gain, "first_wave", lambda n, **known: 6)
    monkeypatch.setattr(adaptive_n, "more", lambda *args, **limits: 0)
    same = [
        ScoredPool(one.policy, one.user, one.query, one.utility, one.mean, one.epistemic, np.full(16, 20))
        for one in made_up(lambda query: 0.5)
    ]
    found = compare(same, TimePrice(0.01, DEVICE, 1))
    assert found["mean_n"] == 6
    assert found["gain_over_best_fixed"] == pytest.approx(0, abs=0.012)


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_dearer_time_is_answered_with_fewer_candidates() -> None:
    pools = made_up(lambda query: 0.5)
    counts = [compare(pools, TimePrice(price, DEVICE, 1))["mean_n"] for price in (0.001, 0.02, 0.5)]
    assert counts[0] > counts[1] > counts[2]
