from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes import Models
from fakes.command import model_files

from edge_ttp.cli.main import run
from edge_ttp.lab.bench.said_again import SaidAgain, table
from edge_ttp.lab.bench.scored_pools import REPORT, part_of


def test_every_way_is_compared_with_the_text_that_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Models(monkeypatch)
    data = tmp_path / "data"
    data.mkdir()
    user = next(name for name in (f"u{number}" for number in range(1000)) if part_of(name) in REPORT)
    rows = [
        {
            "user_id": user,
            "input": f"q{at}",
            "output": f"I can't bring {at + 3} cats to Anna, sorry!",
            "order": at,
        }
        for at in range(6)
    ]
    (data / "chat.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    monkeypatch.setenv("EDGE_TTP_DATA", str(data))
    _, policy, _, reward = model_files(tmp_path)
    options = ["--model", policy, "--reward", reward, "--queries", "2", "--n", "3"]
    assert run(["bench", "rewrite", *options, "--json"]) == 0
    found = {row["way"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert list(found) == ["as given", "greedy", "best of n"]
    assert found["as given"]["utility"] > found["greedy"]["utility"]  # the fake policy says other words
    assert (found["as given"]["facts_kept"], found["best of n"]["facts_kept"]) == (1.0, 0.0)
    assert found["greedy"]["facts_kept"] == 0.5  # of the two, one says nothing: that text stays as it is given
    assert run(["bench", "rewrite", *options, "--keep", "strict"]) == 0
    assert capsys.readouterr().out.count("100%") == 3


def test_means_by_way() -> None:
    rows = table([SaidAgain("a", 0.2, True, 0.5, 1.0), SaidAgain("a", 0.4, False, 0.7, 3.0)])
    assert rows[0]["utility"] == pytest.approx(0.3)
    assert (rows[0]["facts_kept"], rows[0]["seconds"], rows[0]["texts"]) == (0.5, 2.0, 2)
