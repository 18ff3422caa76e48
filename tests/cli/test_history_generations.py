"""`edge-ttp history generations`: stored answers listed, and one shown with its candidates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes import rooms

from edge_ttp.answer import generate
from edge_ttp.answer.ask import Ask
from edge_ttp.cli.main import run
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import Generation


@pytest.fixture
def made(home: Path) -> list[Generation]:
    with History.open(locate(home).database) as history:
        asked = [Ask(prompt, "ann", n=4, seed=3) for prompt in ("what grows here", "and [bold]there\x1b")]
        return [generate(rooms(history), ask) for ask in asked]


def test_they_are_listed_newest_first_with_what_was_said(
    made: list[Generation], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["feedback", made[0].generation_id, "--prefer", "2"]) == 0
    assert run(["history", "generations", "--user", "ann"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["id", made[1].generation_id, made[0].generation_id]
    assert "prefer 2" in lines[2]
    assert "\x1b" not in lines[1]
    assert "[bold]" in lines[1]


def test_one_is_shown_with_all_its_candidates(made: list[Generation], capsys: pytest.CaptureFixture[str]) -> None:
    for name in (made[1].generation_id, "last"):
        assert run(["history", "generations", name, "--user", "ann"]) == 0
        out = capsys.readouterr().out
        assert made[1].generation_id in out
        assert all(one.text.split()[0] in out for one in made[1].candidates)
        assert "chosen: candidate" in out


def test_json_has_all_of_it_with_the_judgments(made: list[Generation], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["feedback", made[0].generation_id, "--accept"]) == 0
    assert run(["history", "generations", "--user", "ann", "--limit", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["generation_id"] for one in found["generations"]] == [one.generation_id for one in made[::-1]]
    assert [one["kind"] for one in found["generations"][1]["feedback"]] == ["accept"]
    assert run(["history", "generations", made[0].generation_id, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["candidates"]) == 4


def test_without_any_it_is_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["history", "generations"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "no answers of me are stored yet\n")
    assert run(["history", "generations", "nope"]) == 8
