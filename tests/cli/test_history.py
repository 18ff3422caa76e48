"""`edge-ttp history`: what is printed where, exit codes, and what a user can do wrong."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from edge_ttp.cli.main import run
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import (
    Candidate,
    Feedback,
    Generation,
    Plan,
    Sampling,
    Selection,
    Timings,
    Usage,
    utc_now,
)

Invoke = Callable[..., str]


@pytest.fixture
def invoke(capfd: pytest.CaptureFixture[str]) -> Invoke:
    """Runs `edge-ttp history ARGUMENTS`, checks the exit code, and returns stdout; `stderr=True` returns stderr."""

    def call(*arguments: str, code: int = 0, stderr: bool = False) -> str:
        capfd.readouterr()
        assert run(["history", *arguments]) == code, capfd.readouterr().err
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return captured.err if stderr else captured.out

    return call


def stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def write_lines(path: Path, count: int, **fields: object) -> Path:
    lines = [json.dumps({"input": f"in {number}", "output": f"out {number}", **fields}) for number in range(count)]
    path.write_text("\n".join(lines) + "\n")
    return path


def record(name: str, days_ago: int = 0, user: str = "me") -> None:
    candidate = Candidate(text="hi", tokens=2, logprob=-1.0, finish_reason="stop", seed=1)
    generation = Generation(
        text="hi",
        generation_id=name,
        user=user,
        prompt="greet",
        model="tiny",
        n=1,
        chosen=0,
        candidates=(candidate,),
        selection=Selection(rule="first", reason="only one"),
        plan=Plan(n=1, bound_by="requested", max_tokens=5, examples=0),
        timings=Timings(),
        usage=Usage(prompt_tokens=3, completion_tokens=2),
        seed=1,
        sampling=Sampling(),
        created_at=utc_now() - timedelta(days=days_ago),
    )
    with History.open(locate().database) as history:
        history.record(generation)


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


def first_line(text: str) -> str:
    return text.splitlines(keepends=True)[0]


def test_lines_are_imported_and_counted(invoke: Invoke, tmp_path: Path) -> None:
    file = str(write_lines(tmp_path / "a.jsonl", 7, user_id="ann", category="x"))
    assert first_line(invoke("import", file)) == "7 added, 0 there already, 0 bad lines\n"
    assert json.loads(invoke("import", file, "--json")) == {
        "import": None,
        "added": 0,
        "duplicates": 7,
        "skipped": {},
        "bad": 0,
        "bad_lines": [],
        "remarks": [],
    }
    assert json.loads(invoke("import", file, "--json", "--user", "bob", "--kind", "note"))["added"] == 7
    [item] = json.loads(invoke("list", "--user", "bob", "--limit", "1", "--json"))["items"]
    assert (item["kind"], item["metadata"]) == ("note", {"category": "x"})


def test_bad_lines_are_named_and_the_good_ones_stored(invoke: Invoke, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "a.jsonl", 3)
    file.write_bytes(file.read_bytes() + b'{"input": "x"}\ncaf\xe9\n' + b"[]\n" * 30)
    notes = invoke("import", str(file), stderr=True)
    assert f"{file}, line 4: output is missing" in notes
    assert f"{file}, line 5: not UTF-8 at byte 4" in notes
    assert "and 12 more" in notes
    report = json.loads(invoke("import", str(file), "--json"))
    assert (report["duplicates"], report["bad"], len(report["bad_lines"])) == (3, 32, 20)
    assert report["bad_lines"][0] == {"line": 4, "reason": "output is missing"}


def test_strict_stores_nothing_if_a_line_is_bad(invoke: Invoke, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "a.jsonl", 3)
    file.write_text(file.read_text() + "bad\n")
    message = invoke("import", str(file), "--strict", code=2, stderr=True)
    assert f"nothing was stored: {file} has 1 bad line (the first is line 4: not JSON" in message
    assert json.loads(invoke("list", "--json"))["count"] == 0
    error = json.loads(invoke("import", str(file), "--strict", "--json", code=2))["error"]
    assert (error["code"], error["exit_code"]) == ("invalid_input", 2)
    assert json.loads(invoke("import", str(write_lines(file, 3)), "--strict", "--json"))["added"] == 3


@pytest.mark.parametrize("strict", [[], ["--strict"]])
def test_stdin_is_imported_like_a_file(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, strict: list[str]) -> None:
    stdin(monkeypatch, b'{"input": "a", "output": "b"}\n{"input": "c", "output": "d"}\n')
    assert first_line(invoke("import", "-", *strict)) == "2 added, 0 there already, 0 bad lines\n"


@pytest.mark.parametrize(
    "content", [b"\x7fELF\0\0\0", b"\x1f\x8b\x08", '{"a"'.encode("utf-16"), b"not json\n", b"\xff\xff\n" * 100]
)
def test_a_file_that_holds_no_item_is_one_clear_error(invoke: Invoke, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(content)
    message = invoke("import", str(file), code=2, stderr=True)
    assert message.splitlines()[-1].startswith("edge-ttp: ")
    assert json.loads(invoke("list", "--json"))["count"] == 0


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


def test_a_git_log_is_imported(invoke: Invoke, tmp_path: Path) -> None:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    for command in (
        ["init", "-q"],
        ["-c", "user.name=Ann", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "empty"],
        ["add", "-A"],
        ["-c", "user.name=Ann", "-c", "user.email=a@b", "commit", "-q", "-m", "First\n\nBody"],
    ):
        (tmp_path / "file").write_text("hello\n")
        subprocess.run(["git", *command], cwd=tmp_path, check=True, env=environment)
    assert "1 added, 0 there already, 1 passed over (1 without a changed file), 0 bad" in invoke(
        "import", "--git", str(tmp_path), "--author", "ann"
    )
    assert invoke("import", "--git", str(tmp_path), "--author", "bob") == "0 added, 0 there already, 0 bad commits\n"
    [item] = json.loads(invoke("list", "--json"))["items"]
    assert (item["input"], item["output"], item["kind"]) == ("1 file changed, +1 -0\nfile +1 -0", "First", "commit")
    assert json.loads(invoke("import", "--git", str(tmp_path), "--body", "--json"))["added"] == 1


@pytest.mark.parametrize(("strict", "kept"), [([], 500), (["--strict"], 0)])
def test_ctrl_c_says_what_was_stored(home: Path, strict: list[str], kept: int) -> None:
    command = [sys.executable, "-c", "from edge_ttp.cli.main import main; main()", "history", "import", "-", *strict]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for number in range(700):
            process.stdin.write(json.dumps({"input": "", "output": f"text {number}"}).encode() + b"\n")
        process.stdin.flush()
        wait_for(lambda: stored(locate().database) == kept and process_waits(process.pid))
        process.send_signal(signal.SIGINT)
        message = process.stderr.read().decode()
        assert process.wait() == 130
        assert process.stdout.read() == b""
    assert message == (
        f"edge-ttp: the import of stdin was interrupted; {kept} items were stored; "
        "run it again, what is stored is skipped"
        + ("; or take it out: edge-ttp history undo-import 1\n" if kept else "\n")
    )
    assert stored(locate().database) == kept


def stored(database: Path) -> int:
    """Items in the database; -1 as long as it has no tables."""
    try:
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        try:
            return int(connection.execute("SELECT count(*) FROM items").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return -1


def process_waits(pid: int) -> bool:
    """Whether the process sleeps (it has read all there is, and waits for more)."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S"


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# export, retention


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


def test_a_preview_shows_items_and_stores_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "texts.csv"
    table.write_text("Question,Answer\nq1,a1\nq2,\nq3,a3\n")
    options = [str(table), "--map", "input=Question", "--map", "output=Answer", "--kind", "note"]
    assert run(["history", "import", *options, "--preview", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["input"], one["output"], one["kind"]) for one in found["items"]] == [
        ("q1", "a1", "note"),
        ("q3", "a3", "note"),
    ]
    assert [one["line"] for one in found["bad_lines"]] == [3]
    assert run(["history", "import", *options, "--preview", "1"]) == 0
    shown = capsys.readouterr()
    assert "output: a1" in shown.out
    assert "nothing was stored" in shown.err
    run(["history", "stats", "--json"])
    assert json.loads(capsys.readouterr().out)["items"] == 0
    assert run(["history", "import", *options]) == 0
    assert first_line(capsys.readouterr().out) == "2 added, 0 there already, 1 bad line\n"
    assert run(["history", "import", *options]) == 0
    assert first_line(capsys.readouterr().out) == "0 added, 2 there already, 1 bad line\n"


def test_mails_conversations_and_notes_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sent = tmp_path / "Sent"
    sent.write_text("From x\nFrom: me@a.org\nSubject: s\n\nhello there\n\nFrom y\nFrom: you@a.org\nSubject: s\n\nhi\n")
    said = tmp_path / "conversations.json"
    said.write_text(json.dumps([{"name": "n", "chat_messages": [{"sender": "human", "text": "a message"}]}]))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("# t\na note")
    assert run(["history", "import", str(sent), "--author", "me@"]) == 0
    assert run(["history", "import", str(said)]) == 0
    assert run(["history", "import", str(tmp_path / "notes")]) == 0
    assert capsys.readouterr().out.count("1 added") == 3
    run(["history", "stats", "--json"])
    assert json.loads(capsys.readouterr().out)["sources"] == {"claude": 1, "markdown": 1, "mbox": 1}


@pytest.mark.parametrize(
    "options",
    [
        ["--from", "word"],
        ["--map", "answer=x"],
        ["--author", "me"],
        ["--from", "mbox"],
        ["--from", "conversations"],
        ["--from", "maildir"],
        ["--from", "markdown", "--map", "output=x"],
    ],
)
def test_an_import_that_cannot_be_meant_is_one_line(
    tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text('{"output": "a"}\n')
    assert run(["history", "import", str(file), *options]) == 2
    assert capsys.readouterr().err.count("\n") == 1
