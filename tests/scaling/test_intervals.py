"""Intervals: the bootstrap's, widened for few groups, and Wilson's."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ttp.scaling.intervals import UNKNOWN, interval, resampled, wilson


def test_intervals_are_wider_for_few_groups_and_stay_within_their_limits() -> None:
    draws = np.random.default_rng(0).normal(0.5, 0.1, 4000)
    few, many = interval(draws, 0.5, 8), interval(draws, 0.5, 10_000)
    assert many.high - 0.5 == pytest.approx(0.1645, abs=0.01)
    assert (few.high - 0.5) / (many.high - 0.5) == pytest.approx(1.895 / 1.645 * np.sqrt(8 / 7), rel=0.01)  # Student, 7
    assert interval(draws + 0.45, 0.95, 8, (0.0, 1.0)).high == 1.0
    assert interval(draws, 2.0, 8).high == 2.0  # it holds the value whatever the resamples say
    assert not interval(draws, 0.5, 1).known
    assert not interval(np.full(5, np.nan), 0.5, 9).known


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_wilson_intervals_hold_their_share_and_narrow_with_more_users(share: float) -> None:
    few, many = wilson(share, np.ones(10)), wilson(share, np.ones(1000))
    for one in (few, many):
        assert 0 <= one.low <= share <= one.high <= 1
    assert many.high - many.low < few.high - few.low
    uneven = wilson(share, np.array([1000.0, *[1.0] * 9]))
    assert uneven.high - uneven.low > few.high - few.low


def test_resamples_draw_as_many_groups_as_there_are_and_follow_their_seed() -> None:
    drawn = list(resampled(7, 50, 3))
    assert len(drawn) == 50
    assert {float(one.sum()) for one in drawn} == {7.0}
    assert np.array_equal(drawn, list(resampled(7, 50, 3)))
    assert not np.array_equal(drawn, list(resampled(7, 50, 4)))
    assert np.mean(drawn, axis=0) == pytest.approx(np.ones(7), abs=0.5)
    assert list(resampled(0, 50, 3)) == []


def test_wilsons_interval_is_the_textbooks() -> None:
    """3 of 10 at z = 1.645 (Wilson 1927; Brown, Cai & DasGupta 2001, formula 4)."""
    z, n, p = 1.645, 10, 0.3
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    found = wilson(0.3, np.full(10, 2.0))  # equal weights count as groups, whatever their unit
    assert (found.low, found.high) == (pytest.approx(centre - half), pytest.approx(centre + half))
    assert wilson(0.0, np.ones(10)).high == pytest.approx(z**2 / (n + z**2))
    assert wilson(1.0, np.ones(10)).low == pytest.approx(n / (n + z**2))


def test_what_cannot_be_estimated_is_unknown() -> None:
    assert not UNKNOWN.known
    assert not interval(np.ones(9), np.nan, 9).known
    assert interval(np.array([1.0, np.nan, 1.0]), 1.0, 9).known
