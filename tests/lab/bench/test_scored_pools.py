"""Scored pools: report users only, and rows that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from repository import SHIPPED_REWARD

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.scored_pools import REPORT, Rescoring, read
from edge_ttp.reward.model import RewardModel
from lab.bench.test_deadlines import users_of, write


def test_pools_are_read_for_report_users_only(tmp_path: Path) -> None:
    report, other = users_of(REPORT, 2), users_of((0,), 1)
    rows = [
        {"user_id": user, "query_id": "q", "utility": 0.1 * place, "score": 0.2, "tokens": place + 3}
        for user in (*report, *other)
        for place in range(8)
    ]
    pools = read([write(tmp_path / "pools.jsonl", rows)], tenths=REPORT)
    assert sorted(pool.user for pool in pools) == sorted(report)
    assert {pool.policy for pool in pools} == {"pools.jsonl"}
    assert pools[0].tokens.tolist() == list(range(3, 11))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"user_id": "a", "query_id": "q", "utility": 0.1, "score": None, "tokens": 3}, "lacks a number"),
        ({"user_id": "a", "query_id": "q", "utility": 0.1, "score": 0.1}, "lacks a number"),
        ({"user_id": "a", "query_id": "q", "utility": 0.1, "score": 0.1, "tokens": 3}, "no pools"),
    ],
)
def test_rows_that_cannot_be_used_are_refused_in_words(tmp_path: Path, row: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        read([write(tmp_path / "pools.jsonl", [row])], tenths=range(10))


def test_rows_with_texts_are_scored_anew_in_any_company(tmp_path: Path) -> None:
    user = users_of(REPORT, 1)[0]
    texts = ["the river rose", "the river fell", "a river rose", "stone", "the stone", "river", "rose", "the end"]
    rows = [
        {"user_id": user, "query_id": "q", "order": 3, "input": "the river rose again", "text": text, "tokens": 4,
         "logprob": -4.0, "utility": 0.1 * place}
        for place, text in enumerate(texts)
    ]  # fmt: skip
    model = RewardModel.load(SHIPPED_REWARD, threads=1)
    (pool,) = Rescoring(model, None).read([write(tmp_path / "pools.jsonl", rows)], tenths=REPORT)
    few = np.array([0, 3, 6])
    assert pool.size == 8
    assert pool.scores(np.arange(8)) == pytest.approx(pool.mean)
    assert pool.scores(few) != pytest.approx(pool.mean[few], abs=1e-6)
    alone = pool.scores(few[:1])
    assert alone.shape == (1,)
    with pytest.raises(InvalidInput, match="no pools"):
        Rescoring(model, None).read([write(tmp_path / "pools.jsonl", rows)], tenths=(0,))
