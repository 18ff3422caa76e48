"""What more candidates are worth: the law before scores, expected improvement after them."""

from __future__ import annotations

from dataclasses import replace
from math import erfc, exp, pi, sqrt

import numpy as np
import pytest

from edge_ttp.budget.gain import (
    LEAD_SAYS,
    PRIOR_CANDIDATES,
    REALIZED,
    Outlook,
    after_part,
    after_wave,
    before_scores,
    expected_improvement,
)
from edge_ttp.learning.calibration import POPULATION, Calibration
from edge_ttp.scaling import expected_maximum


def test_before_scores_the_gain_follows_the_expected_maximum() -> None:
    found = before_scores(POPULATION, 32)
    expected = REALIZED * POPULATION.rho * POPULATION.spread * expected_maximum(np.arange(1, 33))
    assert found == pytest.approx(expected)
    assert found[0] == 0


@pytest.mark.parametrize("record", [replace(POPULATION, collapsed=True), replace(POPULATION, rho=-0.4)])
def test_a_collapsed_or_misled_users_candidates_are_worth_nothing(record: Calibration) -> None:
    assert not before_scores(record, 16).any()


def test_one_more_candidate_is_worth_the_textbooks_expected_improvement() -> None:
    for tau, lead in ((0.03, 0.0), (0.03, 0.05), (0.1, 0.02)):
        z = lead / tau
        phi, upper = exp(-z * z / 2) / sqrt(2 * pi), 0.5 * erfc(z / sqrt(2))
        assert expected_improvement(tau, lead, 1)[0] == pytest.approx(tau * (phi - z * upper), abs=1e-5)


def test_improvement_agrees_with_simulation() -> None:
    rng = np.random.default_rng(3)
    drawn = rng.normal(0, 0.05, (200_000, 8))
    gained = np.maximum(0, drawn.max(axis=1) - 0.06).mean()
    assert expected_improvement(0.05, 0.06, 8)[7] == pytest.approx(gained, rel=0.02)


def test_a_larger_lead_leaves_less_to_gain_and_more_candidates_gain_more() -> None:
    near, far = Outlook(0.03, 0.02, 0.03, 8).improvement(16), Outlook(0.03, 0.08, 0.03, 8).improvement(16)
    assert (near > far).all()
    assert (np.diff(near) > 0).all()
    assert not expected_improvement(0.03, 10.0, 4).any()
    assert not Outlook(0.0, 0.1, 0.0, 8).improvement(4).any()


def test_most_of_what_is_gained_does_not_depend_on_the_lead() -> None:
    whole = 0.03 * (expected_maximum(24) - expected_maximum(8))
    far = Outlook(0.03, 10.0, 0.03, 8).improvement(16)[15]
    assert far == pytest.approx((1 - LEAD_SAYS) * whole)


def test_a_wave_tells_the_lead_in_the_users_own_units() -> None:
    mean = np.array([0.1, 0.1, 0.1, 0.2])
    pool = after_wave(POPULATION, mean)
    assert pool.lead == pytest.approx(REALIZED * POPULATION.slope * 0.075)
    own = (POPULATION.slope * np.std(mean, ddof=1)) ** 2
    expected = sqrt((3 * own + PRIOR_CANDIDATES * POPULATION.reach**2) / (3 + PRIOR_CANDIDATES))
    assert pool.spread == pytest.approx(REALIZED * expected)


def test_a_distrusted_users_lead_counts_for_nothing() -> None:
    pool = after_wave(replace(POPULATION, rho=0.01), np.array([0.1, 0.4]))
    assert pool.lead == 0
    assert pool.improvement(1)[0] < 0.001


def test_a_wave_of_one_says_nothing_of_the_spread() -> None:
    assert after_wave(POPULATION, np.array([0.3])).lead == 0


def test_what_a_second_wave_gains_is_what_the_whole_gains_over_the_first() -> None:
    cases = after_part(POPULATION, 8, 8)
    assert cases.shape[1] == 8
    assert (np.diff(cases[:, 7]) < 0).all()  # the larger the lead, the less there is to gain
    whole = before_scores(POPULATION, 16)
    assert cases[:, 7].mean() == pytest.approx(whole[15] - whole[7], rel=0.1)
