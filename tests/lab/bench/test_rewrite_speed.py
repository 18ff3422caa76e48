"""Notes of a length, timed: with the command, on the fake models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes import Models
from fakes.command import model_files

from edge_ttp.cli.main import run
from edge_ttp.lab.bench.rewrite_speed import notes


def test_notes_have_so_many_words_and_are_plain() -> None:
    assert len(notes(60).split()) == 60
    assert notes(10) == " ".join(notes(60).split()[:10])


def test_the_command_times_the_first_version_and_the_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Models(monkeypatch)
    _, policy, _, reward = model_files(tmp_path)
    speed = ["bench", "rewrite", "--speed", "--model", policy, "--reward", reward, "--n", "2", "--queries", "2"]
    assert run([*speed, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["words"], told["n"], told["rounds"]) == (60, 2, 2)
    assert 0 < told["first_s"] <= told["choice_s"]
    assert told["by_rule_s"] > 0
    assert run(speed) == 0
    assert "first version" in capsys.readouterr().out
