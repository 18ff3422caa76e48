from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_ttp.cli.main import app
from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.recall_grid import GridPoint, rows
from edge_ttp.lab.bench.scored_pools import TUNE, part_of

USERS = [name for name in (f"user {number}" for number in range(100)) if part_of(name) in TUNE][:2]


def test_worth_is_what_examples_add_in_units_of_the_spread_for_long_and_short_texts_apart() -> None:
    def points(mean: float) -> dict[str, GridPoint]:
        return {
            "BM25 0": GridPoint(greedy=0.1, mean=0.1, chosen=0.1, spread=0.1),
            "BM25 4": GridPoint(greedy=0.2, mean=mean, chosen=0.3, spread=0.1),
        }

    grid = {
        ("notes", "a", 1): (False, points(0.2)),
        ("notes", "b", 1): (False, points(0.2)),
        ("mails", "c", 1): (True, points(0.4)),
        ("mails", "d", 1): (True, points(0.4)),
    }
    found = {(row.texts, row.prompt): row for row in rows(grid)}
    assert found["short", "BM25 4"].worth == pytest.approx(1.0)
    assert found["long", "BM25 4"].worth == pytest.approx(3.0)
    assert found["all", "BM25 4"].queries == 4
    assert found["all", "BM25 0"].worth == 0
    assert found["all", "BM25 0"].over_default.mean == pytest.approx(-0.2)


@pytest.mark.real
def test_bench_recall_draws_judges_and_goes_on(models_home: Path, tmp_path: Path) -> None:
    rows_of = [
        {"user_id": user, "order": place, "input": f"Note on {word}.", "output": f"{word}: all is well"}
        for user in USERS
        for place, word in enumerate(("rain", "wind", "snow", "sun", "fog", "hail"))
    ]
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "notes.jsonl").write_text("\n".join(map(json.dumps, rows_of)), encoding="utf-8")
    grid = tmp_path / "grid.jsonl"
    asked = ["bench", "recall", "--data", str(corpus), "--task", "notes", "--pools", str(grid), "--n", "2", "--json"]

    first = CliRunner().invoke(app, [*asked, "--queries", "1"])
    assert first.exit_code == 0, first.output
    drawn = grid.read_bytes()
    second = CliRunner().invoke(app, [*asked, "--queries", "2"])
    assert second.exit_code == 0, second.output
    assert grid.read_bytes().startswith(drawn)
    told = {row["prompt"]: row for row in json.loads(second.stdout)["rows"] if row["texts"] == "short"}
    assert set(told) == {*(f"BM25 {number}" for number in range(5)), "newest 4", "reversed 4"}  # five earlier items
    assert all(row["queries"] == 2 for row in told.values())
    assert told["BM25 0"]["worth"] == 0

    alone = tmp_path / "numbers.jsonl"
    numbers = [*asked[:-5], "--only-numbers", "--pools", str(alone), "--n", "2", "--json", "--queries", "1"]
    third = CliRunner().invoke(app, numbers)
    assert third.exit_code == 0, third.output
    told = json.loads(third.stdout)
    assert {row["prompt"] for row in told["rows"]} == {f"BM25 {number}" for number in (0, 1, 2, 4)}
    assert told["worth"] == {}  # nobody here writes long texts
    refused = CliRunner().invoke(app, [*asked, "--only-numbers", "--core", "2"])
    assert isinstance(refused.exception, InvalidInput)
