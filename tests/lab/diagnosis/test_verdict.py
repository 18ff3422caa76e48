"""Verdicts in words: which sentence follows from which number, on diagnoses whose numbers are set by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edge_ttp.lab.diagnosis.hints import Variance
from edge_ttp.lab.diagnosis.judge import Diagnosis
from edge_ttp.lab.diagnosis.score_table import Table
from edge_ttp.lab.diagnosis.verdict import limits, printable, verdict
from edge_ttp.lab.diagnosis.whole_users import Share
from edge_ttp.scaling import Estimate
from tests.lab.diagnosis.conftest import Judge, Judged
from tests.lab.diagnosis.makers import good_model

COLUMNS = ("utility", "score")


SHARES = {0.0: 0.40, 1.0: 0.45, -1.0: 0.30}
"""Of the headroom, by standard deviations taken off."""


def weighed(ratio: float, errors: dict[float, float]) -> Variance:
    return Variance(slope=1.0, ratio=ratio, rank=0.0, trust=0.5, shares=SHARES, errors=errors)


@pytest.fixture(scope="module")
def good(models: dict[str, Judged]) -> tuple[Table, Diagnosis]:
    return models["good"]


def said(found: Diagnosis, **changes: Any) -> str:
    return " ".join(verdict(replace(found, **changes)))


def quantities(found: Diagnosis, **changes: Any) -> dict[str, Any]:
    assert found.quantities is not None
    return {"quantities": replace(found.quantities, **changes)}


def test_what_comes_from_a_file_is_one_line_that_moves_no_cursor() -> None:
    assert printable("a\nb\x1b[2J\u202ec") == "a b [2J c"
    assert printable("x" * 200) == "x" * 200
    assert printable("x" * 201, 10) == "x" * 10 + "…"


@pytest.mark.parametrize(
    ("h", "words"),
    [
        (Estimate(0.02, 0.01, 0.04), "Hardly any query is hacked (2% of the spread, at most 4%)."),
        (Estimate(0.02, 0.0, 0.001), "Hardly any query is hacked (2% of the spread, at most 0%)."),
        (Estimate(0.10, 0.0, 0.20), "Hacked queries cannot be told from none (10% of the spread, at most 20%)."),
        (Estimate(0.10, 0.05, 0.20), "10% of the other users' queries, weighted by spread, are hacked"),
    ],
)
def test_hacking_is_said_as_far_as_its_interval_reaches(good: tuple[Table, Diagnosis], h: Estimate, words: str) -> None:
    assert words in said(good[1], **quantities(good[1], h=h))


def test_a_weak_score_is_called_weak_only_where_that_is_sure(good: tuple[Table, Diagnosis]) -> None:
    weak = "the score says little (correlation 0.10)"
    assert weak in said(good[1], **quantities(good[1], rho_plus=Estimate(0.1, 0.05, 0.19)))
    assert weak not in said(good[1], **quantities(good[1], rho_plus=Estimate(0.1, 0.05, 0.21)))


def test_gains_are_told_with_their_share_and_what_the_last_doubling_adds(good: tuple[Table, Diagnosis]) -> None:
    curve = [
        replace(point, measured=0.01 * n, oracle=0.02 * n, share=0.5, predicted=0.0098 * n, plain=0.01 * n)
        for n, point in enumerate(good[1].curve, 1)
    ]
    assert said(good[1], curve=curve).startswith(
        "At N=16 selection gains +0.1600 over a random pick, 50% of what the best candidate would gain (the law says "
        "49%); going from 8 to 16 candidates adds +0.0800."
    )


@pytest.mark.parametrize(("score", "wants"), [(0.6, "long"), (-0.6, "short")])
def test_a_score_that_follows_length_is_said_to_prefer(good: tuple[Table, Diagnosis], score: float, wants: str) -> None:
    length = good[1].length
    assert length is not None
    assert f"it prefers {wants} candidates" in said(good[1], length=replace(length, score=score, utility=0.0))
    assert "follows length" not in said(good[1], length=replace(length, score=score, utility=0.8 * score))


def test_a_variance_of_the_wrong_size_is_said_and_one_that_helps_is_recommended(
    good: tuple[Table, Diagnosis],
) -> None:
    errors = {0.0: 0.0, 1.0: 0.01, -1.0: 0.01}
    variance = weighed(4.0, errors)
    words = said(good[1], variance=variance)
    assert "The variance is too small: squared errors are 4 times what it says." in words
    assert "Ranking by score -1 standard deviations would reach 45% of the headroom, not 40%." in words
    unsure = weighed(1.0, dict.fromkeys(SHARES, 0.03))
    assert "Ranking by" not in said(good[1], variance=unsure)
    assert "The variance is" not in said(good[1], variance=unsure)
    assert "too large" in said(good[1], variance=weighed(0.4, errors))


def test_users_for_whom_it_points_the_wrong_way_are_named_and_the_rest_counted(
    good: tuple[Table, Diagnosis],
) -> None:
    users = [replace(line, status="misled", user=f"u{place}\n") for place, line in enumerate(good[1].users)]
    words = said(good[1], users=users)
    assert f"For u0 , u1 , u2 , u3 , u4  and {len(users) - 5} more the score as a whole points the wrong way" in words


def test_limits_name_the_columns_and_what_was_left_out(good: tuple[Table, Diagnosis]) -> None:
    table, found = good

    def unsaid(**changes: Any) -> str:
        return " ".join(limits(found, replace(table, **changes), ("worth", "mark")))

    rows = len(table.line)
    assert f"3 of {rows + 3} lines were left out." in unsaid(bad_reasons={"no text": 2, "no id": 1})
    kept = unsaid(read=10 * rows, share=Share(0.125, 0.5))
    assert f"{10 * rows:,} rows were read; {rows:,} of them are diagnosed, those of 1 in 8 users, 1 in 2" in kept
    assert "No row has `mark`: c, h, rho and what selection gains" in unsaid(score=None)
    assert "No row has `worth`: c, h, rho, the curve and the ceiling" in unsaid(utility=None)


def test_a_weak_score_is_found_weak(judged: Judge) -> None:
    _, found = judged(good_model(users=60, rho=0.1))
    assert "the score says little" in said(found)
