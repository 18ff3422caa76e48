"""Reward models of known kinds are diagnosed as what they are; poor pools are judged as far as they go."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from edge_ttp.lab.diagnosis.judge import Diagnosis, marked
from edge_ttp.lab.diagnosis.verdict import limits, verdict
from edge_ttp.scaling import best_of_n, expected_maximum
from tests.lab.diagnosis.conftest import Judge, Judged
from tests.lab.diagnosis.makers import collapsed_for_a_third, good_model

COLUMNS = ("utility", "score")


def said(judged: Judged) -> str:
    return " ".join(verdict(judged[1]))


def unsaid(judged: Judged) -> str:
    table, found = judged
    return " ".join(limits(found, table, COLUMNS))


def quantities_of(found: Diagnosis) -> tuple[float, float, float]:
    assert found.quantities is not None
    return found.quantities.c.value, found.quantities.h.value, found.quantities.rho_plus.value


def test_a_good_reward_model_is_called_good(models: dict[str, Judged]) -> None:
    table, found = models["good"]
    assert quantities_of(found) == pytest.approx((0, 0, 0.6), abs=0.03)
    assert {line.status for line in found.users} == {"works"}
    assert found.hacked_count < 10
    assert found.length is not None
    assert not found.length.followed
    assert "No user collapsed" in said(models["good"])
    assert "Hardly any query is hacked" in said(models["good"])
    assert "misses" not in said(models["good"])
    assert "rho_minus is unknown" in unsaid(models["good"])
    assert table.bad_count == 0


@pytest.mark.slow
def test_a_ranking_that_is_better_by_chance_is_not_recommended(judged: Judge) -> None:
    """Where scores are all equal, any noise taken off them picks as well, and here a little better."""
    rng = np.random.default_rng(3)
    rows = [{**row, "variance": 0.001 * (1 + rng.random())} for row in collapsed_for_a_third(good_model(users=24))]
    made = judged(rows)
    assert made[1].variance is not None
    assert "Ranking by" not in said(made)
    rows = [{**row, "variance": (1 - row["utility"]) ** 2} for row in rows]
    assert "Ranking by score -1 standard deviations" in said(judged(rows))


def test_the_curve_is_measured_predicted_and_bounded(models: dict[str, Judged]) -> None:
    table, found = models["good"]
    assert table.utility is not None
    assert table.score is not None
    utility, score = table.utility.reshape(-1, 16), table.score.reshape(-1, 16)
    exact = best_of_n(utility, score).mean(axis=0) - utility.mean()
    assert [point.n for point in found.curve] == list(range(1, 17))
    assert [point.measured for point in found.curve] == pytest.approx(list(exact))
    assert [point.gaussian for point in found.curve] == pytest.approx(
        list(0.6 * 0.05 * expected_maximum(range(1, 17))), abs=0.003
    )
    for point in found.curve:
        assert point.low <= point.measured <= point.high
        assert point.measured <= point.oracle
    last = found.curve[-1]
    assert last.share == pytest.approx(last.measured / last.oracle)
    assert last.predicted == pytest.approx(last.measured, abs=0.003)
    assert last.plain == pytest.approx(last.measured, abs=0.003)
    assert isnan(found.curve[0].share)
    assert [point.n for point in marked(found.curve)] == [1, 2, 4, 8, 16]
    assert found.ceilings is not None
    assert found.ceilings.better == "gaussian"
    assert found.exponential_better == 0


def test_the_verdict_says_when_one_share_for_all_n_would_be_off(judged: Judge) -> None:
    """Scores are Gaussian, utilities have a long right tail: the plain share falls with n, the law follows."""
    rng = np.random.default_rng(5)
    rows = []
    for place in range(600):
        latent = rng.standard_normal(16)
        noise = (rng.gamma(1.0, size=16) - 1) * 0.8
        rows += [
            {"user_id": f"user {place % 40}", "query_id": place, "utility": 0.6 * z + e, "score": z}
            for z, e in zip(latent, noise, strict=True)
        ]
    made = judged(rows)
    words = said(made)
    assert "One share for all n would be off" in words
    assert "the law with the scores' own spacing holds" in words
    last = made[1].curve[-1]
    assert last.predicted == pytest.approx(last.measured, rel=0.06)
    assert last.plain > 1.1 * last.measured
    assert last.corrected == pytest.approx(last.measured, rel=0.12)
    assert made[1].skewness is not None
    assert made[1].skewness.utility > 0.5 > abs(made[1].skewness.score)


def test_a_score_that_is_constant_for_a_third_of_the_users_has_collapsed_for_them(models: dict[str, Judged]) -> None:
    _, found = models["collapsed"]
    assert quantities_of(found) == pytest.approx((1 / 3, 0, 0.6), abs=0.03)
    collapsed = [line for line in found.users if line.status == "collapsed"]
    assert {line.user for line in collapsed} == {f"user {place}" for place in range(0, 45, 3)}
    assert all(line.spread == 0 and line.rho == 0 for line in collapsed)
    assert "33% of users collapsed (15 of 45" in said(models["collapsed"])
    assert "Gather history or lower N for them" in said(models["collapsed"])


def test_a_score_that_is_turned_around_on_a_fifth_of_the_queries_is_hacked_there(models: dict[str, Judged]) -> None:
    _, found = models["flipped"]
    assert quantities_of(found) == pytest.approx((0, 0.2, 0.6), abs=0.03)
    assert found.quantities is not None
    assert found.quantities.rho_minus.value == pytest.approx(0.6, abs=0.05)
    assert found.hacked_count == pytest.approx(108, abs=12)
    flipped = [(int(one.user.split()[1]) + int(one.query)) % 5 == 0 for one in found.hacked]
    assert np.mean(flipped) > 0.9
    assert "queries, weighted by spread, are hacked" in said(models["flipped"])
    assert "No user collapsed" in said(models["flipped"])


def test_a_hacked_query_shows_what_was_preferred_and_what_was_best(models: dict[str, Judged]) -> None:
    table, found = models["flipped"]
    assert table.utility is not None
    assert table.score is not None
    worst = found.hacked[0]
    at = [
        row
        for row in range(len(table.line))
        if table.queries[table.query[row]] == worst.query
        and table.users[table.query_user[table.query[row]]] == worst.user
    ]
    assert worst.preferred.line == table.line[max(at, key=lambda row: table.score[row])]
    assert worst.best.line == table.line[max(at, key=lambda row: table.utility[row])]
    assert worst.loss > 0
    assert worst.rho < 0
    assert worst.candidates == 16
    costs = [one.p_hacked * one.loss for one in found.hacked]
    assert costs == sorted(costs, reverse=True)


def test_a_score_that_follows_length_is_caught(models: dict[str, Judged]) -> None:
    _, found = models["length"]
    assert found.length is not None
    assert found.length.followed
    assert found.length.score > 0.9
    assert abs(found.length.utility) < 0.1
    assert "prefers long candidates" in said(models["length"])
    assert "Take length out of the score" in said(models["length"])


def test_one_candidate_per_query_says_that_nothing_can_be_selected(judged: Judge) -> None:
    result = judged(good_model(size=1, users=3, queries=4))
    assert result[1].curve == []
    assert "one candidate" in unsaid(result)


def test_equal_utilities_say_that_nothing_can_be_judged(judged: Judge) -> None:
    result = judged([{**row, "utility": 0.5} for row in good_model(users=3, queries=4)])
    assert result[1].informative == 0
    assert "equal within their queries" in unsaid(result)


@pytest.mark.slow
def test_some_equal_utilities_are_counted_apart(judged: Judge) -> None:
    rows = good_model(users=20, queries=10)
    result = judged([{**row, "utility": 0.5} if row["query_id"] == 0 else row for row in rows])
    assert result[1].informative == 180
    assert "20 of 200 queries carry no information" in unsaid(result)
    assert quantities_of(result[1])[2] == pytest.approx(0.6, abs=0.04)


def test_one_user_has_no_collapse_rate_but_everything_else(judged: Judge) -> None:
    result = judged(good_model(users=1, queries=60))
    _, found = result
    assert found.quantities is not None
    assert not found.quantities.c.known
    assert found.quantities.rho_plus.value == pytest.approx(0.6, abs=0.06)
    assert "There is one user" in unsaid(result)
    assert "how these users' queries vary" in unsaid(result)
    assert found.users[0].status == "works"


def test_rows_without_users_are_said_to_lack_them(judged: Judge) -> None:
    rows = [{**row, "query_id": f"{row['user_id']} {row['query_id']}"} for row in good_model(users=8, queries=10)]
    result = judged([{key: value for key, value in row.items() if key != "user_id"} for row in rows])
    assert "No row has `user_id`" in unsaid(result)
    assert quantities_of(result[1])[2] == pytest.approx(0.6, abs=0.05)


def test_pools_of_fewer_than_eight_have_unknown_hacking_and_a_known_share(judged: Judge) -> None:
    result = judged(good_model(size=6))
    _, found = result
    assert found.quantities is not None
    assert not found.quantities.h.known
    assert "No pool has 8 candidates" in unsaid(result)
    assert found.curve[-1].predicted == pytest.approx(found.curve[-1].measured, abs=0.003)
    assert found.hacked == []


def test_users_with_few_queries_are_unknown_alone(judged: Judge) -> None:
    result = judged(good_model(users=40, queries=4))
    assert {line.status for line in result[1].users} == {"unknown"}
    assert "40 of 40 users have fewer than 10 informative queries" in unsaid(result)
    assert result[1].quantities is not None
    assert result[1].quantities.c.known


def test_without_scores_the_ceiling_is_still_known(judged: Judge) -> None:
    result = judged([{key: value for key, value in row.items() if key != "score"} for row in good_model()])
    _, found = result
    assert found.quantities is None
    assert found.ceilings is not None
    assert found.curve[-1].oracle == pytest.approx(0.05 * 1.766, abs=0.004)
    assert isnan(found.curve[-1].measured)
    assert "No row has `score`" in unsaid(result)
    assert "The best of 16 candidates" in said(result)


def test_without_utilities_constant_scores_are_still_known(judged: Judge) -> None:
    rows = good_model(users=6, queries=3)
    rows = [{**row, "score": 1} if row["user_id"] == "user 2" else row for row in rows]
    result = judged([{key: value for key, value in row.items() if key != "utility"} for row in rows])
    _, found = result
    assert found.quantities is None
    assert found.curve == []
    assert found.constant_scores == ["user 2"]
    assert "never differ within a query for user 2" in said(result)
    assert "No row has `utility`" in unsaid(result)


def test_a_user_for_whom_the_score_is_upside_down_is_named(judged: Judge) -> None:
    rows = good_model(users=20)
    result = judged([{**row, "score": -row["score"]} if row["user_id"] == "user 7" else row for row in rows])
    misled = [line.user for line in result[1].users if line.status == "misled"]
    assert misled == ["user 7"]
    assert "For user 7 the score as a whole points the wrong way" in said(result)


def test_a_law_that_misses_says_where(judged: Judge) -> None:
    """The score ranks perfectly, but utilities are so skewed that its correlation is far below 1."""
    rows = [
        {**row, "score": row["utility"], "utility": float(np.exp(40 * row["utility"]))} for row in good_model(users=20)
    ]
    found = judged(rows)
    assert found[1].curve[-1].share == pytest.approx(1)
    assert "The law misses by +0." in said(found)
