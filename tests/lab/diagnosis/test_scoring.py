"""`diagnose --model`: texts are scored as in use, and smaller pools anew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from repository import SHIPPED_REWARD

from edge_ttp.cli.main import run
from edge_ttp.errors import InvalidInput
from edge_ttp.lab.diagnosis.judge import judge
from edge_ttp.lab.diagnosis.line_source import LineSource
from edge_ttp.lab.diagnosis.score_table import Columns, read_table
from edge_ttp.lab.diagnosis.scoring import cut_up, known_before, picked, read_history, score_table
from edge_ttp.reward.model import RewardModel
from edge_ttp.schema import Candidate, HistoryItem
from tests.lab.diagnosis.makers import write

WORDS = ("river", "stone", "market", "winter", "letter", "garden", "engine", "paper")


def rows(users: int = 3, queries: int = 4, size: int = 8) -> list[dict[str, Any]]:
    """Candidates from a text that is all the input's words to one that is none of them."""
    found = []
    for user in range(users):
        for query in range(queries):
            asked = f"the {WORDS[query]} and the {WORDS[(query + user + 1) % 8]} of {user}"
            for place in range(size):
                kept = asked.split()[: size - place]
                text = " ".join([*kept, *(f"other{place}{number}" for number in range(place))])
                found.append({"user_id": f"u{user}", "query_id": query, "order": 10 + query, "input": asked,
                              "text": text, "tokens": 9, "logprob": -9.0, "utility": 1 - place / size})  # fmt: skip
    return found


def table_of(path: Path) -> Any:
    return read_table(LineSource.of(str(path)), Columns("utility", None, None), lambda done: None)


@pytest.fixture(scope="module")
def model() -> RewardModel:
    return RewardModel.load(SHIPPED_REWARD, threads=1)


def test_scores_are_those_of_the_model(tmp_path: Path, model: RewardModel) -> None:
    path = write(tmp_path / "pools.jsonl", rows())
    scored, smaller = score_table(table_of(path), LineSource.of(str(path)), model, None, lambda done: None)
    mine = [row for row in rows() if (row["user_id"], row["query_id"]) == ("u1", 2)]
    expected = model.score(
        model.profile(()), mine[0]["input"], [Candidate(text=row["text"], tokens=9, logprob=-9.0) for row in mine]
    )
    assert scored.score is not None
    assert scored.variance is not None
    np.testing.assert_allclose(scored.score[(1 * 4 + 2) * 8 :][:8], expected.mean, atol=1e-6)
    np.testing.assert_allclose(scored.variance[(1 * 4 + 2) * 8 :][:8], expected.variance, rtol=1e-5)
    assert smaller.n.tolist() == [1, 2, 4, 8]
    assert np.isfinite(smaller.utility).all()
    found = judge(scored, "pools", resamples=20, seed=0, picked=smaller)
    assert [point.n for point in found.curve] == [1, 2, 4, 8]
    assert found.curve[0].measured == 0
    assert found.curve[-1].measured == pytest.approx(
        np.mean([smaller.utility[q, -1] for q in range(12)]) - np.mean([row["utility"] for row in rows()])
    )


def test_the_history_changes_scores_and_only_its_past_is_seen(tmp_path: Path, model: RewardModel) -> None:
    path = write(tmp_path / "pools.jsonl", rows(users=1, queries=1))
    past = [{"user_id": "u0", "order": place, "input": f"q{place}", "output": "other70 other71"} for place in range(5)]
    later = {"user_id": "u0", "order": 99, "input": "q", "output": "the river and the stone"}

    def scored(history: list[dict[str, Any]]) -> Sequence[float]:
        held = write(tmp_path / "history.jsonl", history)
        table, _ = score_table(table_of(path), LineSource.of(str(path)), model, held, lambda done: None)
        assert table.score is not None
        return table.score.tolist()

    assert scored(past) != scored(past[:1])
    assert scored([*past, later]) == scored(past)


def test_items_without_a_moment_are_all_but_the_answer_itself() -> None:
    items = [HistoryItem(user_id="a", input=str(day), output="x", created_at=datetime(2024, 1, day, tzinfo=UTC))
             for day in (1, 2, 3)]  # fmt: skip
    assert [item.input for item in known_before(items, None, "2")] == ["1", "3"]
    assert [item.input for item in known_before(items, datetime(2024, 1, 3, tzinfo=UTC), "1")] == ["1", "2"]


def test_parts_are_disjoint_and_cover_the_pool() -> None:
    parts = cut_up(16, 4, np.random.default_rng(0))
    assert sorted(row for part in parts for row in part) == list(range(16))
    assert len(cut_up(32, 16, np.random.default_rng(0))) == 8
    assert cut_up(5, 5, np.random.default_rng(0)) == [[0, 1, 2, 3, 4]]


def test_ties_are_shared() -> None:
    utility = np.array([0.1, 0.4, 0.7])
    assert picked(utility, [0, 2], np.array([1.0, 1.0])) == pytest.approx(0.4)
    assert picked(utility, [1, 2], np.array([2.0, 1.0])) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"text": None}, "has no `text`"),
        ({"input": None}, "has no `input`"),
        ({"order": "soon"}, "order"),
    ],
)
def test_what_is_missing_is_named_with_its_line(
    tmp_path: Path, model: RewardModel, change: dict[str, Any], words: str
) -> None:
    path = write(tmp_path / "pools.jsonl", [{**rows()[0], **change}, *rows()[1:]])
    with pytest.raises(InvalidInput, match=f"line 1 .*{words}"):
        score_table(table_of(path), LineSource.of(str(path)), model, None, lambda done: None)


def test_two_inputs_of_one_query_are_refused(tmp_path: Path, model: RewardModel) -> None:
    path = write(tmp_path / "pools.jsonl", [rows()[0], {**rows()[1], "input": "something else"}, *rows()[2:]])
    with pytest.raises(InvalidInput, match=r"line 2 .* another `input`"):
        score_table(table_of(path), LineSource.of(str(path)), model, None, lambda done: None)


def test_an_unreadable_history_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="line 1 of"):
        read_history(write(tmp_path / "history.jsonl", ['{"input": 1}']))
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_history(tmp_path / "nowhere.jsonl")


@pytest.mark.slow
def test_the_command_scores_and_judges(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "pools.jsonl", rows(users=4, queries=8))
    arguments = ["diagnose", str(path), "--model", str(SHIPPED_REWARD), "--html", str(tmp_path / "page.html")]
    assert run([*arguments, "--json", "--bootstrap", "20"]) == 0
    assert "each scored anew" in (tmp_path / "page.html").read_text()
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert "new to the reward model" in printed.err
    assert found["net"]["value"] is not None
    assert [point["n"] for point in found["curve"]] == [1, 2, 4, 8]
    assert found["variance"] is not None
    assert run(["diagnose", str(path), "--history", "x.jsonl"]) == InvalidInput.exit_code
    assert "--model" in capsys.readouterr().err
