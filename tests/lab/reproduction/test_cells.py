"""Cells: the queries of the users asked for, with gains above a random pick, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ttp.lab.reproduction.cells import EVERYBODY, REPORT, cells, numbered, rows_of, together
from edge_ttp.lab.reproduction.score_file import PARTS, Scored, ScoreFile, ScoreSet
from edge_ttp.scaling import Pools
from tests.lab.reproduction.makers import score_file

UTILITY = np.array([[0.0, 1.0], [0.2, 0.4], [1.0, 0.0]])
ONE = ScoreSet(
    task="notes",
    policy="small",
    sizes=(1, 2),
    user=np.array([70, 70, 50]),
    query=np.arange(3),
    part=np.array([PARTS.index("report"), PARTS.index("tune"), PARTS.index("report")]),
    utility=UTILITY,
    variants={"sum": Scored(score=UTILITY, picked=np.array([[0.5, 1.0], [0.3, 0.4], [0.5, 0.0]]))},
)


def test_gains_are_above_the_pools_mean() -> None:
    (cell,) = cells(ScoreFile((ONE,), {"sum": {}}), REPORT)
    np.testing.assert_allclose(cell.gain, [[0, 0.5], [0, -0.5]])
    np.testing.assert_allclose(cell.oracle, [[0, 0.5], [0, 0.5]])
    np.testing.assert_array_equal(cell.user, [70, 50])
    np.testing.assert_array_equal(cell.pools.user, [1, 0])  # numbered in the order of the ids
    assert np.isnan(cell.share[0])  # of one candidate there is nothing to choose
    assert cell.share[1] == 0.0


def test_sets_without_such_users_have_no_cells() -> None:
    file = ScoreFile((ONE,), {"sum": {}})
    assert cells(file, ("train",)) == []
    assert rows_of(ONE, ("report",)).tolist() == [True, False, True]
    assert rows_of(ONE, EVERYBODY).all()


def test_a_user_of_two_tasks_counts_as_two() -> None:
    first = Pools.from_matrices(UTILITY, UTILITY, numbered(ONE.user))
    whole = together([first, first])
    assert (whole.users, len(whole)) == (4, 6)
    assert whole.user.tolist() == [1, 1, 0, 3, 3, 2]
    np.testing.assert_array_equal(whole.size, [2] * 6)
    assert whole.utility.tolist() == [*UTILITY.ravel(), *UTILITY.ravel()]


@pytest.mark.slow
def test_takers_of_both_halves_hold_the_whole() -> None:
    file = score_file()
    assert len(cells(file, EVERYBODY)) == 4 * 3
    assert {len(cell.pools) for cell in cells(file, REPORT)} == {80}
    cell = cells(file, EVERYBODY)[0]
    half = cell.take(cell.user % 2 == 0)
    np.testing.assert_allclose(half.gain.sum() + cell.take(cell.user % 2 == 1).gain.sum(), cell.gain.sum())
    assert half.pools.users == len(np.unique(half.user))
