"""The law on halves of users: it beats its rivals where it is true, and is seen to fail where it is false."""

from __future__ import annotations

import pytest

from edge_ttp.lab.reproduction.cells import EVERYBODY, cells
from edge_ttp.lab.reproduction.law_test import (
    CONSTANT,
    CORRECTED,
    ORDER,
    PLAIN,
    SPACED,
    TRANSFER,
    LawCase,
    LawTest,
    law_test,
)
from edge_ttp.lab.reproduction.reproduce import Reproduction
from edge_ttp.lab.reproduction.score_file import ScoreFile
from tests.lab.reproduction.makers import SIZES, score_set


def test_the_worst_point_is_the_one_whose_prediction_is_furthest_on_average() -> None:
    near = LawCase("a", "p", "v", 2, measured=0.5, predicted=0.49, off=0.3, chance=0.1)
    far = LawCase("a", "p", "v", 4, measured=0.5, predicted=0.7, off=0.2, chance=0.1)
    assert LawTest({}, [near, far], {}, {}, 0.0, 0.0, 1, 2).worst is far


@pytest.mark.slow
def test_the_law_beats_its_rivals_where_it_is_true(found: Reproduction) -> None:
    test = found.law_everybody
    assert test is not None
    assert test.points == 2 * 4 * 3 * len(SIZES)
    law = test.forms[SPACED]
    assert law.error < 0.5 * test.forms[CONSTANT].error
    assert law.error < 0.5 * test.forms[ORDER].error
    assert law.r2 > max(0.9, test.forms[CONSTANT].r2, test.forms[ORDER].r2)
    assert law.error < 2 * test.forms[TRANSFER].error
    assert law.r2_low <= law.r2 <= law.r2_high
    for other in (PLAIN, CORRECTED):  # these scores and utilities are Gaussian: all forms are the same
        assert test.forms[other].error == pytest.approx(law.error, abs=0.03)
    assert all(abs(value) < 0.04 for value in (*test.departure.values(), *test.kept.values()))
    assert abs(test.score_skewness) < 0.1


@pytest.mark.slow
def test_the_law_is_seen_to_fail_where_it_is_false() -> None:
    """A rule that picks at random below N, and by its score at N, has no one share."""
    one = score_set("titles", "small", {"sum": 0.8})
    picked = one.variants["sum"].picked.copy()
    picked[:, 0] = one.utility.mean(axis=1)
    broken = type(one.variants["sum"])(one.variants["sum"].score, picked)
    file = ScoreFile((type(one)(**{**vars(one), "variants": {"sum": broken}}),), {"sum": {"loss": "none"}})
    test = law_test(cells(file, EVERYBODY), splits=3, seed=0)
    assert test is not None
    assert test.worst.n == 2
    assert test.departure[2] < -0.5
    assert abs(test.kept[2]) < 0.1


def test_too_few_queries_give_no_test() -> None:
    few = score_set("titles", "small", {"sum": 0.8}, queries=15)
    assert law_test(cells(ScoreFile((few,), {"sum": {"loss": "none"}}), EVERYBODY), splits=2, seed=0) is None
