"""What the variance is worth in the ranking: gains by hand, and a kappa that tune users choose for report users."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_ttp.lab.reproduction.findings import Bootstrap
from edge_ttp.lab.reproduction.score_file import PARTS, Scored, ScoreFile, ScoreSet, joined
from edge_ttp.lab.reproduction.variance import KAPPAS, base_of, gains_of, variance_use
from edge_ttp.scaling import Pools


def test_gains_are_of_the_largest_score_and_of_the_best() -> None:
    utility = np.array([[0.0, 1.0, 0.2], [0.6, 0.3, 0.0]])
    score = np.array([[0.1, 0.2, 0.9], [3.0, 2.0, 1.0]])
    gains = gains_of([Pools.from_matrices(utility, score, np.array([0, 1]))])
    np.testing.assert_allclose(gains, [[-0.2, 0.6], [0.3, 0.3]])


def scored(facts: dict[str, dict[str, str]], *sure: str) -> ScoreFile:
    """One set with these variants, those that are `sure` with a variance."""
    ones = np.ones((4, 2))
    variants = {name: Scored(ones, np.zeros((4, 1)), ones if name in sure else None) for name in facts}
    user = np.arange(4)
    return ScoreFile((ScoreSet("notes", "small", (2,), user, user, user % 3, ones / 2, variants),), facts)


def test_the_base_is_the_one_of_squared_error_else_the_first_that_is_sure_else_the_first() -> None:
    assert base_of(scored({"sum": {"loss": "none"}, "plain": {"loss": "mse"}}), "small") == "plain"
    assert (
        base_of(scored({"sum": {"loss": "none"}, "shipped": {}, "other": {}}, "shipped", "other"), "small") == "shipped"
    )
    assert base_of(scored({"sum": {"loss": "none"}, "other": {}}), "small") == "sum"


def test_a_policy_has_its_own_variants_and_its_own_base() -> None:
    first = made(1.0)
    one = replace(first.sets[0], policy="other", variants={"shipped": first.sets[0].variants["mse"]})
    rows = variance_use(joined([first, ScoreFile((one,), {"shipped": {}})]), Bootstrap(20))
    assert [(row.policy, row.base) for row in rows] == [("small", "mse")] * 2 + [("other", "shipped")] * 2
    assert rows[1].against.value == rows[3].against.value


def made(sign: float) -> ScoreFile:
    """A score that is wrong by its own sd, on tune users in the one direction, on report users times `sign`."""
    rng = np.random.default_rng(1)
    utility = rng.random((120, 6))
    part = np.array([PARTS.index("tune"), PARTS.index("report")] * 60)
    wrong = rng.exponential(size=utility.shape)
    signs = np.where(part == PARTS.index("tune"), 1.0, sign)[:, None]
    score = utility + signs * wrong
    scored = Scored(score, np.zeros((120, 1)), wrong)
    one = ScoreSet("notes", "small", (6,), np.arange(120) // 2, np.arange(120), part, utility, {"mse": scored})
    return ScoreFile((one,), {"mse": {"loss": "mse"}})


def test_kappa_is_chosen_on_tune_users_and_told_of_report_users() -> None:
    plain, used = variance_use(made(1.0), Bootstrap(40))
    assert (plain.way.by, plain.against.value) == ("mean", 0.0)
    assert used.way.kappa == 1.0  # taken off whole, nothing is wrong any more
    assert used.share.value == pytest.approx(1.0)
    assert used.against.value == pytest.approx(1 - plain.share.value)
    plain, used = variance_use(made(-1.0), Bootstrap(40))
    assert used.way.kappa == 1.0  # the tune users are the same
    assert used.against.value < 0  # and what it does to the others is said
    assert set(KAPPAS) >= {0.0, -1.0}
