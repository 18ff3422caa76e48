"""What the numbers say: ceilings of known tails, shares every user counts the same in, quantities of known scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_ttp.lab.reproduction.findings import ALL, Bootstrap, by_group, by_user, ceilings, curves, ratios, share_of
from edge_ttp.lab.reproduction.reproduce import Reproduction
from edge_ttp.lab.reproduction.score_file import ScoreFile
from edge_ttp.scaling import Pools
from tests.lab.reproduction.makers import MADE, SIZES, score_set


def pools(user: list[int]) -> Pools:
    numbers = np.arange(2.0 * len(user)).reshape(-1, 2)
    return Pools.from_matrices(numbers, numbers, np.array(user))


def test_rows_are_summed_by_user() -> None:
    sums = by_user(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([1, 0, 1]), 3)
    assert sums.tolist() == [[3, 4], [6, 8], [0, 0]]


def test_a_user_with_many_queries_counts_as_one_where_users_are_enough() -> None:
    gains = np.array([[0.0, 1.0]] * 9 + [[1.0, 1.0]] * 9)
    many = pools([0] * 9 + list(range(1, 10)))  # one user of nine queries, nine of one
    means = by_group(gains, many)
    assert means.tolist() == [[0, 1], *[[1, 1]] * 9]
    assert share_of(gains, many, Bootstrap(40)).value == 0.9
    few = pools([0] * 9 + [1] * 9)  # two users say nothing of others: queries are resampled
    assert by_group(gains, few) is gains
    assert share_of(gains, few, Bootstrap(40)).value == 0.5


def test_ratios_of_equal_groups_are_their_ratio_in_every_resample() -> None:
    np.testing.assert_allclose(ratios(np.array([[1.0, 4.0]] * 12), Bootstrap(30)), 0.25)
    assert len(ratios(np.array([[1.0, 4.0]] * 12), Bootstrap(30))) == 30


def test_curves_stand_over_the_sizes_that_all_sets_have() -> None:
    whole = score_set("titles", "small", {"sum": 0.8})
    other = score_set("notes", "small", {"sum": 0.8})
    scored = replace(other.variants["sum"], picked=other.variants["sum"].picked[:, [0, 2]])
    short = replace(other, sizes=(2, 8), variants={"sum": scored})
    (curve,) = curves(ScoreFile((whole, short), {"sum": {}}))
    assert curve.sizes == (2, 8)
    assert (np.abs(curve.share - 0.8) < 0.12).all()
    assert [one.sizes for one in curves(ScoreFile((whole,), {"sum": {}}))] == [SIZES]


def test_the_ceiling_of_each_tail_is_told() -> None:
    sets = tuple(score_set(task, "small", {"sum": 0.5}, tail=task == "long") for task in ("long", "short"))
    long, short = ceilings(ScoreFile(sets, {"sum": {}}), Bootstrap(40))
    assert long.fits.better == "exponential"
    assert long.exponential_better > 0.9
    assert long.doublings[-1] / long.doublings[1] == pytest.approx(1.0, abs=0.15)
    assert short.fits.better == "gaussian"
    assert short.doublings[-1] < 0.95 * short.doublings[0]


@pytest.mark.slow
def test_quantities_and_variance_are_those_of_the_scores(found: Reproduction) -> None:
    whole = {(row.policy, row.variant): row for row in found.measured if row.task == ALL}
    assert len(whole) == 2 * len(MADE)
    for policy in ("small", "large"):
        shares = [whole[policy, name].quantities.share.value for name in MADE]
        assert shares == sorted(shares)
        assert whole[policy, "mse"].quantities.net.value == pytest.approx(0.6, abs=0.04)
    ranked = [row for row in found.ranked if row.policy == "small"]
    assert [(row.way.variant, row.way.by) for row in ranked] == [
        ("mse", "mean"), ("beta-nll", "mean"), ("beta-nll", "sd"), ("beta-nll", "epistemic"),
    ]  # fmt: skip
    assert ranked[0].against.value == 0
    assert ranked[2].way.kappa > 0
    assert ranked[2].share.value > ranked[1].share.value
