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


def test_what_was_not_drawn_yet_tells_nothing() -> None:
    """A consensus over the whole pool knows the candidates to come; scored anew, two candidates agree alike."""
    rng = np.random.default_rng(7)
    pools, cheating = [], []
    for query in range(24):
        utility = 0.07 * rng.normal(size=16)
        closeness = utility[:, None] + utility[None, :]  # good candidates agree with all others

        def anew(places: np.ndarray, closeness: np.ndarray = closeness) -> np.ndarray:
            part = closeness[np.ix_(places, places)]
            return (part.sum(axis=1) - np.diag(part)) / max(1, len(places) - 1)

        whole = anew(np.arange(16))
        tokens = np.full(16, 20)
        made = ScoredPool("policy", f"user {query}", f"{query}", utility, whole, np.zeros(16), tokens, anew)
        pools.append(made)
        cheating.append(ScoredPool("policy", f"user {query}", f"{query}", utility, whole, np.zeros(16), tokens))
    orders = [rng.permutation(16) for _ in range(200)]
    honest = np.mean([adaptive_n._fixed(one, orders, 16) for one in pools], axis=0)
    known = np.mean([adaptive_n._fixed(one, orders, 16) for one in cheating], axis=0)
    assert known[1] > honest[1] + 0.02  # at n = 2 both agree with each other equally: no gain
    assert honest[1] == pytest.approx(honest[0], abs=0.005)
    assert known[-1] == pytest.approx(honest[-1])
    assert adaptive_n.fixed_sizes(16) == [1, 2, 3, 4, 6, 8, 12, 16]


@pytest.mark.usefixtures("few")
def test_stopping_sees_only_what_was_drawn() -> None:
    asked: list[int] = []

    def anew(places: np.ndarray) -> np.ndarray:
        asked.append(len(places))
        return np.zeros(len(places))

    pools = [
        ScoredPool("p", f"user {query}", "q", np.linspace(0, 1, 16), np.zeros(16), np.zeros(16), np.full(16, 9), anew)
        for query in range(4)
    ]
    compare(pools, TimePrice(0.01, DEVICE, 1))
    assert min(asked) < 16  # never the whole pool alone
