"""`edge-ttp stats`: the table by span and kind, its JSON, since when, and what is no span."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from answer.requests import ask
from fakes import rooms

from edge_ttp.answer import generate
from edge_ttp.cli.main import run
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import Feedback, FeedbackKind


@pytest.fixture
def history(home: Path) -> Iterator[History]:
    with History.open(locate(home).database) as opened:
        yield opened


def judged(history: History, verdict: FeedbackKind, day: int, *, more: str = "") -> str:
    made = generate(rooms(history), ask(kind="email"))
    text = made.text + more if verdict == "edit" else None
    moment = datetime(2026, 5, day, 12, tzinfo=UTC)
    history.add_feedback(
        Feedback(
            generation_id=made.generation_id,
            user_id="ann",
            kind=verdict,
            candidate=made.chosen,
            text=text,
            created_at=moment,
        )
    )
    return made.text


def test_nobody_is_told_what_to_do(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["stats", "--user", "ann"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("nothing was said of ann's answers yet: edge-ttp feedback last --accept")


def test_the_table_and_its_json(history: History, capsys: pytest.CaptureFixture[str]) -> None:
    first = judged(history, "accept", 1)
    second = judged(history, "edit", 3, more="!!")
    assert run(["stats", "--user", "ann", "--by", "day"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1][:5] == ["2026-05-01", "email", "1", "0", "100%"]
    assert lines[2][:5] == ["2026-05-03", "email", "1", "0", "0%"]
    assert lines[3][:2] == ["all", "email"]
    assert run(["stats", "--user", "ann", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["user"] == "ann"
    month = told["rows"][0]
    assert (month["since"], month["judged"], month["unedited"], month["typed"]) == ("2026-05", 2, 0.5, 2)
    assert month["saved"] == len(first) + len(second)


def test_since_leaves_out_what_was_before(history: History, capsys: pytest.CaptureFixture[str]) -> None:
    judged(history, "accept", 1)
    judged(history, "reject", 3)
    assert run(["stats", "--user", "ann", "--since", "2026-05-02", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {(row["judged"], row["rejected"]) for row in rows} == {(1, 1)}


@pytest.mark.parametrize("arguments", [["--by", "year"], ["--since", "soon"]])
def test_what_is_no_span_is_one_line(home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run(["stats", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
