"""Expected maxima against closed forms, simulation and each other."""

from __future__ import annotations

from math import asin, atan, erfc, log, pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ttp.errors import InvalidInput
from edge_ttp.scaling import (
    expected_maximum,
    exponential_ceiling,
    gaussian_ceiling,
    harmonic,
    subexponential_bound,
)

# Closed forms for 1 to 5 (David & Nagaraja, section 3.2); the rest to six digits from Harter's tables (1961).
KNOWN = {
    1: 0.0,
    2: 1 / sqrt(pi),
    3: 1.5 / sqrt(pi),
    4: 6 / pi**1.5 * atan(sqrt(2)),
    5: 5 / (4 * sqrt(pi)) + 15 / (2 * pi**1.5) * asin(1 / 3),
    8: 1.42360,
    10: 1.53875,
    16: 1.76599,
    20: 1.86748,
    32: 2.06967,
    64: 2.34373,
    100: 2.50759,
}


@pytest.mark.parametrize(("n", "value"), KNOWN.items())
def test_the_expected_maximum_is_the_known_one(n: int, value: float) -> None:
    assert expected_maximum(n) == pytest.approx(value, abs=1e-9 if n <= 5 else 6e-6)


@pytest.mark.parametrize("n", [2, 7, 16, 33, 250, 5000])
def test_the_expected_maximum_is_the_integral_by_another_rule(n: int) -> None:
    """E[max] = integral over t > 0 of (1 - F^n) - integral over t < 0 of F^n, by Gauss-Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    t, weights = 6 * (nodes + 1), 6 * weights
    below, above = (np.array([0.5 * erfc(sign * x / sqrt(2)) for x in t]) for sign in (-1, 1))
    expected = weights @ (1 - below**n) - weights @ above**n
    assert expected_maximum(n) == pytest.approx(expected, abs=1e-6)


def test_the_expected_maximum_agrees_with_simulation() -> None:
    rng = np.random.default_rng(0)
    for n in (3, 8, 32):
        drawn = rng.standard_normal((40_000, n)).max(axis=1)
        assert expected_maximum(n) == pytest.approx(drawn.mean(), abs=4 * drawn.std() / 200)


def test_many_candidates_approach_the_logarithmic_law() -> None:
    for n in (1e6, 1e12, 1e50, 1e100):
        assert expected_maximum(n) == pytest.approx(sqrt(2 * log(n)), rel=0.12)
        assert expected_maximum(n) < sqrt(2 * log(n))


@given(st.integers(1, 10_000))
def test_each_candidate_adds_and_adds_less_than_the_one_before(n: int) -> None:
    first, second, third = expected_maximum([n, n + 1, n + 2])
    assert 0 < third - second < second - first


def test_shapes_are_kept_and_none_is_needed() -> None:
    assert expected_maximum([[1, 2], [2, 1]]).shape == (2, 2)
    assert expected_maximum(2).shape == ()
    assert expected_maximum([]).shape == (0,)
    assert harmonic([]).shape == (0,)


@given(st.integers(1, 20_000))
def test_harmonic_numbers_are_sums(n: int) -> None:
    assert harmonic(n) == pytest.approx(float(np.sum(1 / np.arange(1, n + 1))), abs=1e-12)


@pytest.mark.parametrize("n", [0, -1, 0.5, float("nan"), float("inf"), 1e101])
def test_no_candidates_are_refused(n: float) -> None:
    with pytest.raises(InvalidInput):
        expected_maximum(n)
    with pytest.raises(InvalidInput):
        harmonic(n)


def test_half_a_candidate_has_no_harmonic_number() -> None:
    with pytest.raises(InvalidInput, match="whole"):
        harmonic(2.5)


def test_the_exponential_ceiling_is_that_of_exponential_utilities() -> None:
    rng = np.random.default_rng(1)
    drawn = 0.3 * rng.exponential(size=(40_000, 16))
    assert exponential_ceiling(16, 0.3) == pytest.approx(drawn.max(axis=1).mean() - 0.3, abs=0.01)
    assert gaussian_ceiling([1, 16], 0.3) == pytest.approx([0, 0.3 * KNOWN[16]], abs=1e-5)


@given(st.integers(1, 10**9), st.floats(1e-3, 1e3))
def test_no_exponential_oracle_exceeds_the_bound(n: int, scale: float) -> None:
    # P(U - mu > t) = exp(-t / b): the mean is b above mu.
    assert exponential_ceiling(n, scale) + scale <= subexponential_bound(n, scale) * (1 + 1e-12)
