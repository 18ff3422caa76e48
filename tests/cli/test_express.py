"""The short way beside a server: what it reads, that the long way would send the same, and what it leaves alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer

from edge_ttp.cli import attached, express
from edge_ttp.cli import generate as generate_command
from edge_ttp.cli import rewrite as rewrite_command
from edge_ttp.cli.main import run

LINES = [
    ["generate", "Lunch?"],
    ["generate", "Lunch?", "--n", "auto", "--user", "ann", "--seed=7", "--json"],
    ["generate", "-u", "ann", "Lunch?", "--n=3", "--deadline", "1500ms", "--mode", "fast", "--no-store"],
    ["generate", "Lunch?", "--max-tokens", "6", "--temperature", "1", "--top-p", "0.9", "--top-k", "5", "--min-p", "0"],
    ["generate", "Lunch?", "--select", "mean", "--kind", "email", "--examples", "2", "--system", "Be kind.", "-m", "x"],
    ["rewrite", "Lunch at one."],
    ["rewrite", "Lunch at one.", "--notes", "--as", "email", "--keep", "strict", "--n", "2", "--deadline", "2m"],
]


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_both_ways_send_the_same_request(line: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, str | None, dict[str, Any]]] = []

    class Enough(Exception):
        """The request is known."""

    def keep(what: str, user: str | None, wish: dict[str, Any]) -> None:
        sent.append((what, user, json.loads(json.dumps(wish))))
        raise Enough

    monkeypatch.setattr(attached, "events", keep)
    with pytest.raises(Enough):
        run(line)
    what, given, text = express.read(line)
    assert text is not None
    assert (what, given.get("user"), express.wish_of(what, given, text)) == sent[0]


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["chat"],
        ["generate", "--help"],
        ["generate", "a", "b"],
        ["generate", "a", "--n", "many"],
        ["generate", "a", "--n"],
        ["generate", "a", "--n", "1", "--n", "2"],
        ["generate", "a", "--json=yes"],
        ["generate", "a", "--no-server"],
        ["generate", "a", "--memory", "1GB"],
        ["generate", "a", "--deadline", "0"],
        ["generate", "a", "--temperature", "-1"],
        ["generate", "a", "-uann"],
        ["generate", "--", "a"],
        ["rewrite", "a", "--diff"],
    ],
    ids=" ".join,
)
def test_what_is_not_in_the_table_is_left_to_the_long_way(line: list[str]) -> None:
    with pytest.raises(express.Unread):
        express.read(line)


@pytest.mark.parametrize(("what", "app"), [("generate", generate_command.app), ("rewrite", rewrite_command.app)])
def test_every_option_of_the_table_is_one_of_the_command(what: str, app: typer.Typer) -> None:
    command = typer.main.get_command(app)
    known = {flag: one for one in command.params for flag in one.opts}
    for flag, (_, reader) in express.READ[what].items():
        assert bool(getattr(known[flag], "is_flag", False)) == (reader is None), flag


def test_without_a_socket_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached, "events", lambda *_: pytest.fail("there is no server"))
    assert express.attempt(["generate", "Lunch?"]) is None


def test_a_request_that_was_begun_is_taken_by_the_same_words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> Any:
        yield {"type": "planned"}

    monkeypatch.setattr(attached, "_is_ours", lambda path: False)
    attached._BEGUN.set((attached._body("ann", {"prompt": "a", "context": []}), told()))
    taken = attached.events("generate", "ann", {"context": (), "prompt": "a"})
    assert taken is not None
    assert next(taken)["type"] == "planned"
    other = told()
    attached._BEGUN.set((attached._body("ann", {"prompt": "a"}), other))
    assert attached.events("generate", "ann", {"prompt": "b"}) is None
    assert next(other, None) is None  # closed
