"""`edge-ttp feedback`: what is recorded, and what is said where it cannot be."""

from __future__ import annotations

import io
import json
import sys
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
def made(home: Path) -> Generation:
    """A generation of four candidates in the history of this home."""
    with History.open(locate(home).database) as history:
        return generate(rooms(history), Ask("what grows here", "ann", n=4, seed=3))


def recorded(home: Path) -> list[tuple[str, int, str | None]]:
    with History.open(locate(home).database) as history:
        return [(one.kind, one.candidate, one.text) for one in history.feedback_for("ann")]


def outputs(home: Path) -> list[str]:
    with History.open(locate(home).database) as history:
        return [item.output for item in history.items("ann")]


def test_the_last_word_counts(home: Path, made: Generation, capsys: pytest.CaptureFixture[str]) -> None:
    name = made.generation_id
    for options, left, kept in (
        (["--accept"], ("accept", made.chosen, None), [made.text]),
        (["--reject", "--user", "ann"], ("reject", made.chosen, None), []),
        (["--edit", "first"], ("edit", made.chosen, "first"), ["first"]),
        (["--edit", "as it should be"], ("edit", made.chosen, "as it should be"), ["as it should be"]),
        (["--prefer", "4"], ("prefer", 3, None), []),
    ):
        assert run(["feedback", name, *options]) == 0
        assert (recorded(home), outputs(home)) == ([left], kept)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-1] == f"noted: prefer for candidate 4 of {name}"


def test_a_judgment_is_taken_back(home: Path, made: Generation, capsys: pytest.CaptureFixture[str]) -> None:
    name = made.generation_id
    assert run(["feedback", name, "--accept"]) == 0
    assert run(["feedback", name, "--copied"]) == 0
    assert run(["feedback", name, "--undo"]) == 0
    assert (recorded(home), outputs(home)) == ([], [])
    assert capsys.readouterr().err.splitlines()[-1] == f"taken back for {name}: accept, copied"
    assert run(["feedback", name, "--retract", "--json"]) == 8
    assert "nothing was said" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_last_is_the_users_newest_answer(home: Path, made: Generation, capsys: pytest.CaptureFixture[str]) -> None:
    with History.open(locate(home).database) as history:
        newest = generate(rooms(history), Ask("and there", "ann", n=2, seed=3))
        generate(rooms(history), Ask("elsewhere", "bob", n=2, seed=3))
    assert run(["feedback", "last", "--accept", "--user", "ann", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["generation_id"] == newest.generation_id
    assert run(["feedback", "last", "--accept"]) == 8  # of the default user, who asked nothing
    assert capsys.readouterr().err == "edge-ttp: no answer of 'me' is stored yet; ask for one: edge-ttp generate\n"


def test_an_edit_can_come_from_standard_input(home: Path, made: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("besser so, café\n".encode())))
    assert run(["feedback", made.generation_id, "--edit", "-"]) == 0
    assert recorded(home) == [("edit", made.chosen, "besser so, café")]


def test_json_prints_the_judgment_with_an_index_from_0(made: Generation, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["feedback", made.generation_id, "--prefer", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["candidate"], found["user_id"]) == ("prefer", 1, "ann")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ([], 2, "0 judgments were given"),
        (["--accept", "--retract"], 2, "2 judgments were given"),
        (["--retract"], 8, "nothing was said of the generation"),
        (["--accept", "--reject"], 2, "2 judgments were given"),
        (["--edit", "x", "--prefer", "1"], 2, "2 judgments were given"),
        (["--prefer", "0"], 2, "has no candidate 0; choose 1 to 4"),
        (["--prefer", "5"], 2, "has no candidate 5; choose 1 to 4"),
        (["--prefer", "-1"], 2, "has no candidate -1; choose 1 to 4"),
        (["--prefer", "best"], 2, "--prefer"),
        (["--edit", "  "], 2, "an edit needs the edited text"),
        (["--edit", "bad \udcff"], 2, "not valid Unicode"),
        (["--accept", "--user", "bob"], 8, "there is no generation"),
    ],
)
def test_what_cannot_be_recorded_is_one_line_and_nothing_changes(
    home: Path, made: Generation, capsys: pytest.CaptureFixture[str], options: list[str], code: int, words: str
) -> None:
    assert run(["feedback", made.generation_id, *options]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert (recorded(home), outputs(home)) == ([], [])


def test_an_unknown_generation_is_not_found(capsys: pytest.CaptureFixture[str]) -> None:
    for options in (["--accept"], ["--prefer", "1"]):
        assert run(["feedback", "000000000000", *options, "--json"]) == 8
        assert json.loads(capsys.readouterr().out)["error"]["code"] == "not_found"
