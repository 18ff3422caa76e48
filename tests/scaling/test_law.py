"""The law against what it is made of, and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ttp.errors import InvalidInput
from edge_ttp.scaling import (
    Law,
    Pools,
    best_of_n,
    expected_maximum,
    marginal_gain,
    oracle_of_n,
    skewed_maximum,
    skewed_share,
    square_of_maximum,
)

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


def test_squares_of_maxima_are_those_of_drawn_ones() -> None:
    assert square_of_maximum([1, 2]) == pytest.approx([1, 1])
    drawn = np.random.default_rng(1).standard_normal((200_000, 8)).max(axis=1)
    assert float(square_of_maximum(8)) == pytest.approx(float((drawn**2).mean()), abs=0.02)


def test_a_skewed_maximum_is_that_of_skewed_draws() -> None:
    """Gamma draws of shape 16 have skewness 2 / sqrt(16)."""
    drawn = (np.random.default_rng(2).gamma(16.0, size=(100_000, 16)) - 16) / 4
    assert float(skewed_maximum(16, 0.5)) == pytest.approx(float(drawn.max(axis=1).mean()), abs=0.02)
    assert abs(float(expected_maximum(16)) - float(drawn.max(axis=1).mean())) > 0.15


def test_a_skewed_share_is_the_plain_one_where_both_are_skewed_alike() -> None:
    assert skewed_share([2, 8, 32], 0.4, score_skewness=0.7, utility_skewness=0.7) == pytest.approx([0.4] * 3)
    assert np.isnan(skewed_share([1], 0.4, score_skewness=0.0, utility_skewness=1.0)[0])
    falling = skewed_share([2, 8, 32], 0.4, score_skewness=-0.4, utility_skewness=0.8)
    assert falling[0] == pytest.approx(0.4)
    assert falling[0] > falling[1] > falling[2]


def test_the_closed_form_tells_the_share_of_gaussian_scores_on_skewed_utilities() -> None:
    """Utility is linear in a Gaussian score, plus noise skewed to the right."""
    rng = np.random.default_rng(3)
    score = rng.standard_normal((20_000, 32))
    noise = (rng.gamma(4.0, size=score.shape) - 4) / 2
    utility = 0.5 * score + np.sqrt(0.75) * noise
    sizes = [2, 8, 32]
    measured = best_of_n(utility, score, sizes).mean(axis=0) / oracle_of_n(utility, sizes).mean(axis=0)
    pools = Pools.from_matrices(utility[:4000], score[:4000], np.arange(4000))
    skewness = pools.skewness()
    found = skewed_share(sizes, 0.5, score_skewness=skewness.score, utility_skewness=skewness.utility)
    assert measured[-1] < 0.45  # the plain form says .5 at every n
    assert found == pytest.approx(list(measured), abs=0.02)
