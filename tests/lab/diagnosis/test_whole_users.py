"""Whose rows are kept: lots depend on ids alone and are even, shares halve users first and then queries."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ttp.lab.diagnosis.whole_users import ENOUGH, WHOLE, Share, lot


def test_lots_are_the_same_everywhere_and_evenly_spread() -> None:
    assert lot("ann") == lot("ann") != lot("bob")
    lots = np.array([lot(f"user {place}") for place in range(4000)])
    assert 0 <= lots.min() < lots.max() < 1
    counts, _ = np.histogram(lots, bins=8, range=(0, 1))
    assert np.abs(counts - 500).max() < 5 * np.sqrt(500 * 7 / 8)
    assert 0 <= lot("\ud800") < 1  # an id that is no text has one too


def test_a_lot_says_nothing_of_the_next() -> None:
    lots = np.array([lot(str(place)) for place in range(4000)])
    assert abs(np.corrcoef(lots[:-1], lots[1:])[0, 1]) < 0.08


@pytest.mark.parametrize(
    ("users", "halved"), [(ENOUGH + 1, Share(0.5, 1.0)), (ENOUGH, Share(1.0, 0.5)), (1, Share(1.0, 0.5))]
)
def test_users_are_halved_while_there_are_enough_and_their_queries_then(users: int, halved: Share) -> None:
    assert WHOLE.whole
    assert WHOLE.halved(users) == halved
    assert not halved.whole


def test_what_a_smaller_share_keeps_a_larger_one_keeps_too() -> None:
    small, large = Share(0.25), Share(0.5)
    names = [f"user {place}" for place in range(400)]
    kept = [{name for name in names if lot(name) < share.users} for share in (small, large)]
    assert kept[0] < kept[1]
