"""The usual suspects: length and variance."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ttp.lab.diagnosis.hints import follow_length, weigh_variance
from edge_ttp.scaling import Pools

QUERIES, SIZE = 300, 16


def pools_of(utility: np.ndarray, score: np.ndarray) -> Pools:
    return Pools.from_matrices(utility, score, np.zeros(len(utility), dtype=np.int64))


def test_length_explains_a_correlation_away() -> None:
    """Utility and score both go with length and are otherwise unrelated."""
    rng = np.random.default_rng(0)
    length = rng.standard_normal((QUERIES, SIZE))
    utility, score = (0.7 * length + np.sqrt(0.51) * rng.standard_normal(length.shape) for _ in range(2))
    found = follow_length(pools_of(utility, score), length.ravel(), "tokens")
    assert found is not None
    assert found.score == pytest.approx(0.7, abs=0.02)
    assert found.rho == pytest.approx(0.49, abs=0.03)
    assert found.rho_without == pytest.approx(0, abs=0.04)
    assert not found.followed  # the utility follows it as much


def test_a_score_that_prefers_short_texts_follows_length_too() -> None:
    rng = np.random.default_rng(0)
    length = rng.integers(3, 90, (QUERIES, SIZE)).astype(float)
    found = follow_length(pools_of(rng.random(length.shape), -length), length.ravel(), "tokens")
    assert found is not None
    assert found.followed
    assert found.score == pytest.approx(-1)


def test_equal_lengths_say_nothing() -> None:
    rng = np.random.default_rng(0)
    pools = pools_of(rng.random((20, 8)), rng.random((20, 8)))
    assert follow_length(pools, np.full(160, 7.0), "tokens") is None


def calibrated(noise: np.ndarray, rng: np.random.Generator) -> Pools:
    score = rng.standard_normal((QUERIES, SIZE))
    offset = 5 * rng.standard_normal((QUERIES, 1))  # how hard the query is: must not matter
    return pools_of(score + noise * rng.standard_normal(score.shape) + offset, score)


def test_a_calibrated_variance_is_called_calibrated() -> None:
    rng = np.random.default_rng(0)
    noise = rng.uniform(0.2, 1.5, (QUERIES, SIZE))
    pools = calibrated(noise, rng)
    found = weigh_variance(pools, pools.evidence(), noise.ravel() ** 2)
    assert found is not None
    assert found.slope == pytest.approx(1, abs=0.05)
    assert found.ratio == pytest.approx(1, abs=0.05)
    assert found.rank > 0.3
    assert found.trust == pytest.approx(float(np.sqrt(1 / (1 + (noise**2).mean()))), abs=0.03)
    assert found.shares[0.0] > max(found.shares.values()) - 0.01  # a calibrated mean needs no help


def test_a_variance_that_is_four_times_too_small_says_so() -> None:
    rng = np.random.default_rng(1)
    noise = rng.uniform(0.2, 1.5, (QUERIES, SIZE))
    pools = calibrated(noise, rng)
    found = weigh_variance(pools, pools.evidence(), noise.ravel() ** 2 / 4)
    assert found is not None
    assert found.ratio == pytest.approx(4, rel=0.05)


def test_a_variance_that_marks_overrated_candidates_is_worth_its_penalty() -> None:
    rng = np.random.default_rng(2)
    shape = (QUERIES, SIZE)
    quality, deceit = rng.standard_normal(shape), rng.exponential(1.0, shape)
    pools = pools_of(quality, quality + deceit)
    found = weigh_variance(pools, pools.evidence(), deceit.ravel() ** 2)
    assert found is not None
    assert found.shares[1.0] > found.shares[0.5] > found.shares[0.0] > found.shares[-0.5]
    assert found.shares[1.0] == pytest.approx(1)
    assert 0 < found.errors[1.0] < 0.1
    assert found.errors[0.0] == 0


def test_a_variance_of_zero_says_nothing() -> None:
    rng = np.random.default_rng(0)
    pools = pools_of(rng.random((20, 8)), rng.random((20, 8)))
    assert weigh_variance(pools, pools.evidence(), np.zeros(160)) is None
    flat = pools_of(rng.random((20, 8)), np.zeros((20, 8)))
    assert weigh_variance(flat, flat.evidence(), np.ones(160)) is None
