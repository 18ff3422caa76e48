"""`edge-ttp history` export, retention, forget, backup: what is the user's to take along and to take out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_ttp.cli.main import run
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import (
    Feedback,
)

from .history_calls import Invoke, record


def test_an_export_is_read_back_the_same(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    invoke("add", "--output", "Grüße 😀", "--input", "a\nb")
    invoke("add", "--output", "other", "--user", "ann")
    record("g1")
    with History.open(locate().database) as history:
        history.add_feedback(Feedback(generation_id="g1", user_id="me", kind="accept", candidate=0))
    everything = invoke("export", "--all-users", "--all")
    assert [json.loads(line)["record"] for line in everything.splitlines()] == ["item"] * 3 + ["generation", "feedback"]
    file = tmp_path / "export.jsonl"
    assert "5 lines written" in invoke("export", "--all-users", "--all", "--output", str(file), stderr=True)
    assert file.read_text() == everything
    monkeypatch.setenv("EDGE_TTP_HOME", str(tmp_path / "second"))
    assert json.loads(invoke("import", str(file), "--strict", "--json"))["added"] == 5
    assert invoke("export", "--all-users", "--all") == everything


def test_an_export_holds_one_user_unless_told_otherwise(invoke: Invoke) -> None:
    invoke("add", "--output", "mine")
    invoke("add", "--output", "hers", "--user", "ann")
    assert [json.loads(line)["output"] for line in invoke("export").splitlines()] == ["mine"]
    assert [json.loads(line)["output"] for line in invoke("export", "--user", "ann").splitlines()] == ["hers"]
    assert "exclude each other" in invoke("export", "--all-users", "--user", "ann", code=2, stderr=True)


def test_an_export_to_nowhere_is_one_line(invoke: Invoke, tmp_path: Path) -> None:
    message = invoke("export", "--output", str(tmp_path / "no" / "file"), code=2, stderr=True)
    assert "cannot be written" in message


def test_retention_is_shown_set_applied_and_lifted(invoke: Invoke) -> None:
    record("old", days_ago=40)
    record("new")
    assert invoke("retention") == "generations of me are kept for ever\n"
    assert invoke("retention", "30d", stderr=True) == "1 older generation deleted\n"
    assert json.loads(invoke("retention", "1", "--json")) == {"user": "me", "retention_days": 1, "deleted": 0}
    assert invoke("retention") == "generations of me are kept for 1 day\n"
    assert invoke("retention", "forever") == "generations of me are kept for ever\n"
    assert json.loads(invoke("stats", "--json"))["generations"] == 1


@pytest.mark.parametrize("days", ["0", "x", "1.5", "-3", "99999999999", "5m", "²"])
def test_an_impossible_retention_is_one_line(invoke: Invoke, days: str) -> None:
    arguments = ["retention", "--", days] if days.startswith("-") else ["retention", days]
    assert invoke(*arguments, code=2, stderr=True).count("\n") == 1


def test_forget_takes_out_what_was_named_and_says_how_much(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("one", "two", "three"):
        run(["history", "add", "--output", text, "--user", "ann"])
    run(["history", "add", "--output", "other", "--user", "bob"])
    capsys.readouterr()
    assert run(["history", "forget", "--user", "ann", "--item", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {
        "user": "ann",
        "items": 1,
        "generations": 0,
        "calibrations": 0,
        "overwritten": True,
    }
    assert run(["history", "forget", "--user", "ann", "--before", "2001"]) == 0
    assert capsys.readouterr().out.startswith("0 texts, 0 answers")
    assert run(["history", "forget", "--user", "ann", "--all"]) == 0
    assert capsys.readouterr().out.startswith("2 texts")
    assert run(["history", "list", "--user", "bob"]) == 0
    assert "other" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "code"),
    [([], 2), (["--item", "1", "--all"], 2), (["--before", "soon"], 2), (["--item", "99"], 8), (["--all"], 8)],
)
def test_what_cannot_be_forgotten_is_one_line(
    options: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    user = "nobody" if options == ["--all"] else "ann"
    run(["history", "add", "--output", "one", "--user", "ann"])
    capsys.readouterr()
    assert run(["history", "forget", "--user", user, *options]) == code
    assert capsys.readouterr().err.count("\n") == 1


def test_a_backup_brings_everything_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy.db"
    run(["history", "add", "--output", "one", "--user", "ann"])
    assert run(["history", "backup", str(copy), "--json"]) == 0
    run(["history", "forget", "--user", "ann", "--all"])
    capsys.readouterr()
    assert run(["history", "restore", str(copy)]) == 0
    assert capsys.readouterr().out == f"restored 1 user from {copy}\n"
    assert run(["history", "list", "--user", "ann"]) == 0
    assert "one" in capsys.readouterr().out
    assert run(["history", "restore", str(tmp_path / "missing.db")]) == 8
