from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_ttp.cli.main import app
from edge_ttp.lab.bench.scored_pools import TUNE, part_of
from edge_ttp.lab.bench.temperature import arms

USERS = [name for name in (f"user {number}" for number in range(100)) if part_of(name) in TUNE][:2]


def test_every_temperature_is_tried_alone_after_greedy_and_in_ladders() -> None:
    names = [arm.name for arm in arms((0.3, 0.45, 0.6, 0.8))]
    assert {"0.3", "0.8", "greedy, then 0.45", "0.3, 0.45, 0.6", "greedy, then 0.3, 0.45, 0.6, 0.8"} < set(names)
    assert len(names) == len(set(names)) == 12


@pytest.mark.real
def test_bench_temperature_draws_judges_and_goes_on(models_home: Path, tmp_path: Path) -> None:
    rows = [
        {"user_id": user, "order": place, "input": f"Note on {word}.", "output": f"{word}: all is well"}
        for user in USERS
        for place, word in enumerate(("rain", "wind", "snow", "sun", "fog", "hail"))
    ]
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "notes.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    pools = tmp_path / "work" / "pools.jsonl"
    asked = [
        "bench",
        "temperature",
        "--data",
        str(corpus),
        "--task",
        "notes",
        "--pools",
        str(pools),
        "--n",
        "8",
        "--json",
    ]

    first = CliRunner().invoke(app, [*asked, "--queries", "1"])
    assert first.exit_code == 0, first.output
    drawn = pools.read_bytes()
    assert json.loads(first.stdout)["rows"][0]["queries"] == 1

    second = CliRunner().invoke(app, [*asked, "--queries", "2"])
    assert second.exit_code == 0, second.output
    assert pools.read_bytes().startswith(drawn)  # what was drawn is kept
    told = json.loads(second.stdout)
    pooled = {(row["arm"], row["n"]): row for row in told["rows"] if row["task"] == "all"}
    assert {n for _, n in pooled} == {4, 8}
    for row in pooled.values():
        assert row["queries"] == row["users"] == 2
        assert row["mean"] <= row["oracle"]
        assert row["gain"]["mean"] == pytest.approx(row["chosen"] - row["greedy"])
    assert told["best"] in {arm for arm, _ in pooled}

    other = CliRunner().invoke(app, [*asked, "--queries", "1", "--n", "4"])
    assert other.exit_code != 0
    assert "another n" in other.output or "another n" in str(other.exception)
