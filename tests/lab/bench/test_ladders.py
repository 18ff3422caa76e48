from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_ttp.lab.bench.corpus import Query
from edge_ttp.lab.bench.drawing import DrawnText
from edge_ttp.lab.bench.ladders import POOLED, Arm, Difference, Judge, JudgedPool, best, rows
from edge_ttp.reward.model import RewardModel
from edge_ttp.schema import HistoryItem

REWARD = Path(__file__).parents[3] / "models" / "reward-minilm-1"


def test_a_cycle_takes_its_temperatures_in_turn_and_parts_share_nothing() -> None:
    drawn = {0.0: [0], 0.3: [1, 2, 3, 4], 0.6: [5, 6, 7, 8]}
    arm = Arm((0.3, 0.6))
    pools = [arm.pool(drawn, 4, part) for part in range(3)]
    assert pools[:2] == [[1, 2, 5, 6], [3, 4, 7, 8]]
    assert pools[2] is None


def test_the_greedy_answer_takes_one_place_and_is_in_every_part() -> None:
    drawn = {0.0: [0], 0.6: [5, 6, 7, 8, 9, 10]}
    arm = Arm((0.6,), greedy=True)
    assert arm.name == "greedy, then 0.6"
    assert [arm.pool(drawn, 4, part) for part in range(2)] == [[0, 5, 6, 7], [0, 8, 9, 10]]


def test_a_paired_difference_resamples_users_and_not_queries() -> None:
    one_user_decides = Difference.of([0.4] * 10 + [0.0] * 2, ["a"] * 10 + ["b", "c"])
    many_users = Difference.of([0.4] * 10 + [0.0] * 2, list("abcdefghijkl"))
    assert one_user_decides.mean == pytest.approx(many_users.mean)
    assert one_user_decides.error > 2 * many_users.error
    assert math.isnan(Difference.of([0.1, 0.2], ["a", "a"]).error)


def test_rows_pool_all_tasks_and_pair_with_greedy_and_with_the_reference() -> None:
    def judged(chosen: float) -> JudgedPool:
        return JudgedPool(chosen=chosen, consensus=0.1, mean=0.1, oracle=0.5)

    found = {
        ("notes", "a", 1): (0.1, {"0.8": {8: judged(0.2)}, "0.4": {8: judged(0.3)}}),
        ("notes", "b", 1): (0.2, {"0.8": {8: judged(0.2)}, "0.4": {8: judged(0.4)}}),
        ("titles", "a", 1): (0.3, {"0.8": {8: judged(0.2)}, "0.4": {8: judged(0.2)}}),
    }
    table = rows(found, "0.8")
    pooled = {row.arm: row for row in table if row.task == POOLED}
    assert pooled["0.4"].queries == 3
    assert pooled["0.4"].gain.mean == pytest.approx(0.1)
    assert pooled["0.4"].over_default.mean == pytest.approx(0.1)
    assert [row.task for row in table if row.arm == "0.4"] == [POOLED, "notes", "titles"]
    assert best(table) == "0.4"


def test_a_pool_is_scored_anew_inside_each_part() -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    history = tuple(
        HistoryItem(
            id=place, user_id="u", input=f"what of {word}", output=f"{word} again", created_at=start + timedelta(place)
        )
        for place, word in enumerate(("rain", "wind", "snow", "sun", "fog"), 1)
    )
    item = HistoryItem(id=9, user_id="u", input="what of hail", output="hail again", created_at=start + timedelta(9))
    texts = ["hail again", "hail, once more", "no idea", "a long walk", "again hail", "what", "hail", "it is hail"]
    candidates = [DrawnText("hail again", 3, -1.0, "stop", 0.0)]
    candidates += [DrawnText(text, 4, -3.0 - place, "stop", 0.5) for place, text in enumerate(texts)]
    judge = Judge(RewardModel.load(REWARD, threads=1))
    found = judge.judge(Query("notes", item, 5, history), candidates, [Arm((0.5,)), Arm((0.5,), greedy=True)], (4, 8))
    alone, led = found["0.5"], found["greedy, then 0.5"]
    assert set(alone) == set(led) == {4, 8}
    for one in (*alone.values(), *led.values()):
        assert 0 <= one.mean <= one.oracle <= 1
        assert 0 <= one.chosen <= one.oracle
    assert led[8].oracle == pytest.approx(1.0)  # the greedy answer is what the user wrote
    assert alone[4].mean == pytest.approx(alone[8].mean)
