"""The law against what it is made of, and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ttp.errors import InvalidInput
from edge_ttp.scaling import Law, best_of_n, expected_maximum, marginal_gain

RATE = st.floats(0, 1)


def test_the_oracle_and_a_random_pick_are_the_ends_of_the_law() -> None:
    assert Law(0, 0, 1, 0, 0.2).share == 1
    assert Law(0, 0, 1, float(0), 0.2).gaussian_gain(16) == pytest.approx(0.2 * expected_maximum(16))
    assert Law(1, 0.3, 0.9, 0.9, 0.2).gaussian_gain([1, 2, 64]) == pytest.approx([0, 0, 0])
    assert Law(0, 1, 0, 1, 1).share == -1


@given(RATE, RATE, RATE, RATE, st.floats(0, 10))
def test_the_share_lies_between_the_oracle_and_its_opposite(
    c: float, h: float, plus: float, minus: float, sigma: float
) -> None:
    law = Law(c, h, plus, minus, sigma)
    assert -1 <= law.share <= 1
    assert law.gain(np.array([0.0, 2.0])) == pytest.approx([0, 2 * law.share])
    assert law.gaussian_gain(1) == 0


def test_the_law_is_what_happens_in_the_gaussian_model() -> None:
    rng = np.random.default_rng(0)
    queries, size = 40_000, 16
    rho = np.where(rng.random(queries) < 0.2, -0.5, 0.7) * (rng.random(queries) >= 0.1)
    sigma = rng.uniform(0.1, 0.3, queries)
    z = rng.standard_normal((queries, size))
    score = rho[:, None] * z + np.sqrt(1 - rho[:, None] ** 2) * rng.standard_normal(z.shape)
    law = Law(c=0.1, h=0.2, rho_plus=0.7, rho_minus=0.5, sigma=0.2)
    measured = best_of_n(sigma[:, None] * z, score).mean(axis=0)
    assert measured == pytest.approx(law.gaussian_gain(range(1, size + 1)), abs=0.004)


@pytest.mark.slow
@given(st.integers(1, 500), st.floats(0, 5))
def test_marginal_gains_add_up_to_the_gain(n: int, slope: float) -> None:
    assert marginal_gain(range(1, n + 1), slope).sum() == pytest.approx(slope * float(expected_maximum(n + 1)))


@pytest.mark.parametrize(
    "wrong", [{"c": -0.1}, {"h": 1.2}, {"rho_plus": float("nan")}, {"sigma": -1.0}, {"sigma": float("inf")}]
)
def test_impossible_quantities_are_refused(wrong: dict[str, float]) -> None:
    right = {"c": 0.1, "h": 0.1, "rho_plus": 0.5, "rho_minus": 0.5, "sigma": 1.0}
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        Law(**{**right, **wrong})
