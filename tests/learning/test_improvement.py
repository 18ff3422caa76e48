"""Whether learning made the choice better, told from texts that were held out."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from edge_ttp.learning.improvement import LEAST_TEXTS, compared
from edge_ttp.reward.posterior import Evidence, Weights

STOCK = Weights(np.array([1.0, 0.0]), np.eye(2))


def evidence(count: int, wanted: int, seed: int = 0) -> list[Evidence]:
    """Pools of 8 candidates whose utility follows the feature `wanted`; the stock weights go by the first one."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        features = rng.normal(size=(8, 2))
        features -= features.mean(axis=0)
        utility = 0.5 + 0.1 * features[:, wanted]
        found.append(Evidence("written", features, np.full(8, 0.01), utility, 0))
    return found


def test_a_user_who_goes_by_something_else_is_learned_and_it_shows() -> None:
    found = compared(evidence(40, 1), STOCK)
    assert found.known
    assert found.texts == 40
    assert found.after > found.before + 0.05
    assert found.sure > 0.95
    assert found.random == pytest.approx(0.5)


def test_where_the_stock_model_was_right_nothing_is_claimed() -> None:
    found = compared(evidence(40, 0), STOCK)
    assert found.before > found.random + 0.05
    assert found.sure < 0.9


def test_noise_is_seldom_called_an_improvement() -> None:
    claims = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        noisy = [
            Evidence(one.kind, one.features, one.noise, rng.uniform(size=8), one.candidate)
            for one in evidence(20, 0, seed)
        ]
        claims += compared(noisy, STOCK).sure > 0.9
    assert claims <= 6


def test_judgments_alone_tell_nothing() -> None:
    judged = [Evidence("accept", one.features, one.noise, None, 1) for one in evidence(20, 1)]
    found = compared(judged, STOCK)
    assert (found.texts, found.sure, found.known) == (0, 0.5, False)
    assert isnan(found.before)
    assert compared([], STOCK).texts == 0
    assert not compared(evidence(LEAST_TEXTS - 1, 1), STOCK).known
