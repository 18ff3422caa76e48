"""What one pool says: correlation and jackknife against the plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_ttp.errors import InvalidInput
from edge_ttp.scaling import correlate

VALUES = st.integers(-1000, 1000).map(lambda value: value / 8)


def leave_one_out(utility: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlations and standard deviations of the utility with each candidate left out."""
    rho, sd = [], []
    for place in range(len(utility)):
        u, s = np.delete(utility, place), np.delete(score, place)
        rho.append(np.corrcoef(u, s)[0, 1])
        sd.append(u.std(ddof=1))
    return np.array(rho), np.array(sd)


@pytest.mark.slow
@given(
    st.integers(4, 12).flatmap(
        lambda n: st.tuples(
            arrays(float, n, elements=VALUES, unique=True), arrays(float, n, elements=VALUES, unique=True)
        )
    )
)
def test_the_jackknife_is_the_plain_one(pool: tuple[np.ndarray, np.ndarray]) -> None:
    utility, score = pool
    n = len(utility)
    found = correlate(utility[None], score[None])
    rho, sd = leave_one_out(utility, score)
    assume(np.abs(rho).max() < 0.9999)
    assert found.rho[0] == pytest.approx(np.corrcoef(utility, score)[0, 1], abs=1e-9)
    assert found.weight[0] == pytest.approx(utility.std(ddof=1))
    assert found.score_sd[0] == pytest.approx(score.std(ddof=1))
    assert found.utility_sd[0] == pytest.approx(n * utility.std(ddof=1) - (n - 1) * sd.mean(), rel=1e-6)
    assert found.reach_plain[0] == pytest.approx(found.rho[0] * found.weight[0])
    assert found.reach[0] == pytest.approx(n * found.reach_plain[0] - (n - 1) * (rho * sd).mean(), abs=1e-6)
    z = np.arctanh(rho)
    variance = (n - 1) / n * ((z - z.mean()) ** 2).sum()
    assert found.inflation[0] == pytest.approx(variance * (n - 3) ** 2 / (n - 1), rel=1e-5)


@pytest.mark.slow
@given(arrays(float, (3, 9), elements=VALUES), arrays(float, (3, 9), elements=VALUES), st.floats(0.01, 100))
def test_units_of_the_score_do_not_matter_its_sign_does(utility: np.ndarray, score: np.ndarray, scale: float) -> None:
    found, scaled, flipped = (
        correlate(utility, score),
        correlate(utility, scale * score + 3),
        correlate(utility, -score),
    )
    assert scaled.rho == pytest.approx(found.rho, abs=1e-6, nan_ok=True)
    assert flipped.rho == pytest.approx(-found.rho, abs=1e-9, nan_ok=True)
    assert flipped.reach == pytest.approx(-found.reach, abs=1e-6)


@pytest.mark.parametrize("size", [8, 16, 32])
@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_gaussian_pairs_need_no_inflation_and_leave_no_bias(size: int, rho: float) -> None:
    rng = np.random.default_rng(size)
    z = rng.standard_normal((20_000, size))
    score = rho * z + np.sqrt(1 - rho**2) * rng.standard_normal(z.shape)
    found = correlate(z, score)
    assert found.inflation.mean() == pytest.approx(1, abs=0.06)
    assert found.utility_sd.mean() == pytest.approx(1, abs=0.01)
    assert found.reach.sum() / found.utility_sd.sum() == pytest.approx(rho, abs=0.01)


def test_equal_scores_are_correlation_zero_and_equal_utilities_say_nothing() -> None:
    utility = np.array([[0.1, 0.2, 0.3, 0.4], [0.3, 0.3, 0.3, 0.3], [0.1, 0.2, 0.3, 0.4]])
    score = np.array([[0.7, 0.7, 0.7, 0.7], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.5]])
    found = correlate(utility, score)
    assert found.rho[0] == 0
    assert found.score_sd[0] == 0
    assert np.isnan(found.rho[1])
    assert found.weight[1] == 0
    assert list(found.informative) == [True, False, True]
    assert np.isnan(found.inflation[:2]).all()


def test_spread_by_rounding_is_none() -> None:
    utility = np.array([[0.1 + 0.2, 0.3, 0.3, 0.3]])
    assert correlate(utility, np.array([[1.0, 2.0, 3.0, 4.0]])).weight[0] == 0
    assert correlate(np.array([[1.0, 2.0, 3.0, 4.0]]), 1e9 + utility * 1e-12).score_sd[0] == 0


def test_a_jackknife_that_ties_leave_undefined_falls_back_to_the_plain_values() -> None:
    utility, score = np.array([[0.0, 0.0, 0.0, 1.0]]), np.array([[1.0, 2.0, 3.0, 4.0]])
    found = correlate(utility, score)
    assert np.isnan(found.inflation[0])
    assert found.reach[0] == found.reach_plain[0]
    assert found.utility_sd[0] == found.weight[0]
    assert 0 < found.rho[0] < 1


@pytest.mark.parametrize("size", [1, 2, 3])
def test_tiny_pools_are_taken_as_they_are(size: int) -> None:
    found = correlate(np.arange(size, dtype=float)[None], np.arange(size, dtype=float)[None])
    assert found.size[0] == size
    assert np.isnan(found.inflation[0])
    assert found.informative[0] == (size > 1)


def test_what_is_not_finite_or_does_not_match_is_refused() -> None:
    with pytest.raises(InvalidInput, match="finite"):
        correlate(np.array([[1.0, np.nan]]), np.zeros((1, 2)))
    with pytest.raises(InvalidInput, match="match"):
        correlate(np.zeros((1, 2)), np.zeros((1, 3)))


def test_huge_and_tiny_values_survive() -> None:
    rng = np.random.default_rng(0)
    utility, score = rng.random((5, 8)), rng.random((5, 8))
    plain, scaled = correlate(utility, score), correlate(utility * 1e90, score * 1e-90)
    assert scaled.rho == pytest.approx(plain.rho)
    assert scaled.inflation == pytest.approx(plain.inflation)
