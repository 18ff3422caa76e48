from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from fakes import Models
from fakes.command import model_files

from edge_ttp.cli.main import run
from edge_ttp.lab.bench.corpus import Query
from edge_ttp.lab.bench.said_again import DRAWN, RULES, SaidAgain, Saying, table, voices
from edge_ttp.lab.bench.scored_pools import REPORT, part_of
from edge_ttp.schema import HistoryItem


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
    options = ["--model", policy, "--reward", reward, "--queries", "2", "--n", "3", "--pools", str(tmp_path / "pools")]
    assert run(["bench", "rewrite", *options, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    found = {row["way"]: row for row in rows if row["tasks"] == "tasks in training"}
    rules = [*RULES, DRAWN, "merged", "edited", "oracle"]
    assert list(found) == ["as given", "stock greedy", *(f"stock, {rule}" for rule in rules)]
    assert {row["tasks"] for row in rows} == {"tasks in training", "chat"}
    assert found["as given"]["utility"] > found["stock greedy"]["utility"]  # the fake policy says other words
    assert found["stock, oracle"]["utility"] >= max(found[f"stock, {rule}"]["utility"] for rule in RULES)
    assert (found["as given"]["facts_kept"], found["stock, lcb"]["facts_kept"]) == (1.0, 1.0)  # the edited one
    assert found["as given"]["over"]["mean"] == 0.0
    before = {path: path.read_bytes() for path in (tmp_path / "pools").iterdir()}
    assert run(["bench", "rewrite", *options]) == 0  # draws nothing again
    assert {path: path.read_bytes() for path in (tmp_path / "pools").iterdir()} == before
    assert "tasks in training" in capsys.readouterr().out
    assert run(["bench", "rewrite", *options, "--against", "stock greedy", "--json"]) == 0
    over = {row["way"]: row["over"]["mean"] for row in json.loads(capsys.readouterr().out)["rows"]}
    assert over["stock greedy"] == 0.0 < over["as given"]
    assert run(["bench", "rewrite", *options, "--against", "nothing"]) == 2
    assert "no way is called 'nothing'" in capsys.readouterr().err
    assert run(["bench", "rewrite", "--not-drawn", "--queries", "2", "--json"]) == 0
    undrawn = {row["way"]: row for row in json.loads(capsys.readouterr().out)["rows"] if row["tasks"] == "chat"}
    assert list(undrawn) == ["as given", "edited, nothing drawn"]
    assert undrawn["edited, nothing drawn"]["facts_kept"] == 1.0
    assert undrawn["as given"]["utility"] == found["as given"]["utility"]
    assert run(["bench", "rewrite", *options, "--skip", "9"]) != 0
    assert "no such users" in capsys.readouterr().err
    assert run(["bench", "rewrite", *options, "--keep", "strict", "--depth", "stiff", "--tune"]) != 0  # no tune users
    assert "no such users" in capsys.readouterr().err


def one(way: str, utility: float, user: str = "u", place: int = 0) -> SaidAgain:
    return SaidAgain("chat", user, place, way, "text", utility, kept=utility > 0.3, edits=0.5, seconds=1.0)


def test_ways_are_compared_pair_by_pair() -> None:
    found = [one("as given", 0.2), one("as given", 0.4, "v"), one("a", 0.5), one("a", 0.3, "v")]
    rows = {row["way"]: row for row in table(found)}
    assert rows["a"]["utility"] == pytest.approx(0.4)
    assert rows["a"]["over"]["mean"] == pytest.approx(0.1)
    assert rows["a"]["over"]["low"] == pytest.approx(-0.1)
    assert (rows["as given"]["facts_kept"], rows["a"]["texts"], rows["a"]["users"]) == (0.5, 2, 2)


def test_the_voice_of_what_users_wrote_is_theirs() -> None:
    manner = {"a": "{} {} !!", "b": "Dear {}, {}.", "c": "{} -- {} lol"}
    items = {
        user: [
            HistoryItem(user_id=user, input="q", output=how.format(f"w{at}", f"v{at}"), created_at=datetime(2024, 1, 1))
            for at in range(12)
        ]
        for user, how in manner.items()
    }
    queries = [Query("chat", written[-1], 11, tuple(written[:-1])) for written in items.values()]
    found = [one("as given", 0.5, user, 11) for user in manner]
    heard = voices(Saying(queries), found)
    assert heard["written"] > 0.9
    assert heard["as given"] == pytest.approx(0.5, abs=0.35)  # the same words for all three
