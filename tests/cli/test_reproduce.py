"""`edge-ttp reproduce`: what is written where, what is not replaced, and the ladder's page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_ttp.cli.main import run
from edge_ttp.lab.reproduction.score_file import ScoreFile, write_scores
from tests.lab.reproduction.makers import score_set


def test_the_command_writes_the_page_and_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = score_set("titles", "small", {"sum": 0.6}, queries=90)
    write_scores(tmp_path / "scores.npz", ScoreFile((one,), {"sum": {"loss": "none"}}))
    arguments = ["reproduce", "--scores", str(tmp_path / "scores.npz"), "--splits", "2", "--bootstrap", "20"]
    assert run([*arguments, "--out", str(tmp_path)]) == 0
    assert "No variant in the file has a variance" in (tmp_path / "reproduction.md").read_text()
    assert len(list((tmp_path / "reproduction").glob("*.svg"))) == 4
    assert run([*arguments, "--out", str(tmp_path)]) == 2
    assert "add --force" in capsys.readouterr().err
    assert run([*arguments, "--out", str(tmp_path), "--force"]) == 0
    capsys.readouterr()
    assert run([*arguments, "--json", "--out", str(tmp_path / "unused")]) == 0
    assert not (tmp_path / "unused").exists()
    assert set(json.loads(capsys.readouterr().out)) == {"law", "ceilings", "quantities", "variance"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--scores", "nowhere.npz"], "nowhere.npz"), (["--splits", "1"], "--splits"), (["--bootstrap", "5"], "--bootst")],
)
def test_what_cannot_be_read_or_meant_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run(["reproduce", "--out", str(tmp_path / "out"), *arguments]) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_file_without_a_ladder_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = score_set("titles", "small", {"sum": 0.6}, queries=30)
    write_scores(tmp_path / "other.npz", ScoreFile((one,), {"sum": {"loss": "none"}}))
    asked = ["reproduce", "--ladder", "--scores", str(tmp_path / "other.npz"), "--out", str(tmp_path / "out")]
    assert run(asked) == 2
    assert "holds no ladder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
