"""`edge-ttp history`: what is printed where, exit codes, and what a user can do wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_ttp.paths import locate

from .history_calls import Invoke, record, stdin, write_lines

# add, list, search, stats, path


def test_what_is_added_is_listed(invoke: Invoke) -> None:
    assert invoke("add", "--input", "greet [bold]Ann[/bold]", "--output", "Hi Ann!\nBye") == "item 1 of me; 1 in all\n"
    assert "there already" in invoke("add", "--input", "greet [bold]Ann[/bold]", "--output", "Hi Ann!\nBye")
    table = invoke("list")
    assert "greet [bold]Ann[/bold]" in table
    assert "Hi Ann! Bye" in table
    listed = json.loads(invoke("list", "--json"))
    assert (listed["user"], listed["count"], len(listed["items"])) == ("me", 1, 1)
    assert listed["items"][0]["output"] == "Hi Ann!\nBye"
    assert listed["items"][0]["source"] == "cli"


def test_add_says_as_json_whether_it_was_new(invoke: Invoke) -> None:
    first = json.loads(invoke("add", "--output", "hello", "--kind", "note", "--json"))
    again = json.loads(invoke("add", "--output", "hello", "--json"))
    assert (first["added"], again["added"]) == (True, False)
    assert first["item"] == again["item"]


def test_a_dash_reads_stdin(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, "Grüße\nund mehr\n".encode())
    invoke("add", "--output", "-", "--input", "x")
    assert json.loads(invoke("list", "--json"))["items"][0]["output"] == "Grüße\nund mehr"
    stdin(monkeypatch, b"\xff")
    assert "not UTF-8 at byte 1" in invoke("add", "--output", "-", code=2, stderr=True)
    assert "cannot both" in invoke("add", "--output", "-", "--input", "-", code=2, stderr=True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--output", " "],
        ["--output", "x", "--user", ""],
        ["--output", "x", "--user", "a\nb"],
        ["--output", "x", "--kind", ""],
        ["--output", "caf\udce9"],
        ["--output", "x", "--user", "caf\udce9"],
        ["--output", "x" * 200_001],
        ["--input", "no output"],
    ],
)
def test_what_cannot_be_added_is_one_line(invoke: Invoke, arguments: list[str]) -> None:
    message = invoke("add", *arguments, code=2, stderr=True)
    assert message.startswith("edge-ttp: ")
    assert message.count("\n") == 1


def test_the_environment_names_the_user(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_TTP_USER", "ann")
    invoke("add", "--output", "mine")
    assert json.loads(invoke("list", "--json", "--user", "ann"))["count"] == 1
    assert json.loads(invoke("list", "--json", "--user", "me"))["count"] == 0


def test_an_unknown_user_has_no_history_yet_and_that_is_no_error(invoke: Invoke) -> None:
    assert invoke("list", "--user", "eve", stderr=True) == "no history yet for eve\n"
    assert json.loads(invoke("list", "--json")) == {"user": "me", "count": 0, "items": []}
    assert invoke("search", "x", "--user", "eve") == ""
    assert json.loads(invoke("stats", "--json", "--user", "eve"))["items"] == 0
    assert "no history yet" in invoke("export", stderr=True)


def test_list_selects_by_kind_and_end(invoke: Invoke, tmp_path: Path) -> None:
    invoke("import", str(write_lines(tmp_path / "a.jsonl", 30, kind="note")))
    invoke("add", "--output", "mail", "--kind", "email")
    assert [item["output"] for item in json.loads(invoke("list", "--kind", "email", "--json"))["items"]] == ["mail"]
    oldest = json.loads(invoke("list", "--oldest", "--limit", "2", "--json"))["items"]
    assert [item["output"] for item in oldest] == ["out 0", "out 1"]
    assert "20 of 31 shown" in invoke("list", stderr=True)
    assert "nothing of kind poem" in invoke("list", "--kind", "poem", stderr=True)


def test_control_characters_never_reach_the_terminal(invoke: Invoke) -> None:
    invoke("add", "--output", "\x1b[31mred\x07 train", "--input", "a\x9b31m", "--user", "ann")
    for arguments in (["list"], ["search", "train"], ["stats"]):
        assert invoke(*arguments, "--user", "ann").replace("\n", "").isprintable()


def test_search_prints_where_the_words_stand(invoke: Invoke) -> None:
    invoke("add", "--output", "the late train to Zürich", "--input", "travel")
    assert "late train to Zürich" in invoke("search", "zurich trains")
    [found] = json.loads(invoke("search", "zuri", "--json"))["found"]
    assert found["field"] == "output"
    assert found["item"]["id"] == 1
    [[start, end]] = found["highlights"]
    assert found["snippet"][start:end] == "Zürich"
    assert "nothing found" in invoke("search", 'NEAR("', stderr=True)


def test_stats_count_one_user_or_all(invoke: Invoke) -> None:
    invoke("add", "--output", "one")
    invoke("add", "--output", "two", "--user", "ann", "--kind", "email")
    record("g1")
    mine = json.loads(invoke("stats", "--json"))
    assert (mine["items"], mine["generations"], mine["kinds"]) == (1, 1, {"text": 1})
    everyone = json.loads(invoke("stats", "--all-users", "--json"))
    assert (everyone["users"], everyone["items"]) == (2, 2)
    assert "email 1" in invoke("stats", "--user", "ann")
    assert "texts" in invoke("stats", "--all-users")
    assert "exclude each other" in invoke("stats", "--all-users", "--user", "ann", code=2, stderr=True)


def test_path_is_below_the_home_and_makes_nothing(invoke: Invoke, home: Path) -> None:
    assert invoke("path") == f"{home}/data/history.db\n"
    assert json.loads(invoke("path", "--json")) == {"path": f"{home}/data/history.db", "exists": False}
    assert not home.exists()


# import


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["missing.jsonl"],
        ["."],
        ["--git", "."],
        ["a.jsonl", "--git", "."],
        ["a.jsonl", "--author", "x"],
        ["a.jsonl", "--body"],
        ["a.jsonl", "--user", ""],
    ],
)
def test_wrong_arguments_are_one_line(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "a.jsonl", 1)
    message = invoke("import", *arguments, code=2, stderr=True)
    assert message.startswith("edge-ttp: ")
    assert message.count("\n") == 1


# export, retention


# Faults


@pytest.mark.parametrize("arguments", [["list"], ["stats"], ["search", "x"], ["export"], ["add", "--output", "x"]])
def test_a_damaged_database_is_one_line_with_exit_code_4(invoke: Invoke, home: Path, arguments: list[str]) -> None:
    database = locate().database
    database.parent.mkdir(parents=True)
    database.write_bytes(b"not a database " * 1000)
    message = invoke(*arguments, code=4, stderr=True)
    assert "not a sound database" in message
    assert message.count("\n") == 1
    assert database.read_bytes() == b"not a database " * 1000


def test_errors_under_json_are_one_object(invoke: Invoke) -> None:
    database = locate().database
    database.parent.mkdir(parents=True)
    database.write_bytes(b"x" * 5000)
    error = json.loads(invoke("list", "--json", code=4))["error"]
    assert error["code"] == "history_unavailable"


def test_every_command_has_help(invoke: Invoke) -> None:
    commands = ["add", "import", "list", "search", "stats", "export", "path", "retention"]
    page = invoke("--help")
    for command in commands:
        assert command in page
        assert "Usage:" in invoke(command, "--help")
