"""`history import` as a person sees it, in a terminal, and what it says of what it read."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_ttp import Runtime
from edge_ttp.cli.main import run
from edge_ttp.errors import InvalidInput
from edge_ttp.history import History
from edge_ttp.paths import locate

from .history_calls import Invoke, stdin, write_lines


def mailbox(path: Path, count: int) -> Path:
    """An mbox of `count` mails, one in ten of them from somebody else."""
    with path.open("wb") as file:
        for number in range(count):
            who = "eve@example.net" if number % 10 == 9 else "Jo <jo@example.org>"
            file.write(
                f"From x\nFrom: {who}\nSubject: s{number}\nDate: Mon, 06 Jan 2025 09:12:{number % 60:02} +0100"
                f"\n\nmail number {number}, see you\n\nOn 5 Jan 2025, at 08:55, Ann <a@example.org> wrote:\n"
                f"> question {number}?\n\n".encode()
            )
    return path


def in_terminal(*arguments: str, timeout_s: float = 300) -> tuple[int, str]:
    """(exit status, everything shown) of edge-ttp in a pseudo-terminal of 100 columns."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_ttp", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "COLUMNS": "100", "LINES": "30", "TERM": "xterm"},
        start_new_session=True,
    )
    os.close(slave)
    shown = b""
    while True:
        if not select.select([master], [], [], timeout_s)[0]:
            process.kill()
            break
        try:
            piece = os.read(master, 65_536)
        except OSError:  # Linux says so when the other side has closed
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    return process.wait(), shown.decode(errors="replace")


def imported(tmp_path: Path, count: int) -> None:
    status, shown = in_terminal("history", "import", str(mailbox(tmp_path / "Sent", count)))
    assert status == 0, shown
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert "Importing" in plain  # the bar
    assert re.search(r"\d+(?:\.\d+)?/\d+(?:\.\d+)? (?:bytes|kB|MB)", plain)
    mine = count - count // 10
    assert f"took the mails from jo@example.org as yours ({mine} of {count})" in plain
    assert f"{mine} added, 0 there already, {count // 10} passed over ({count // 10} from another sender)" in plain
    assert "undo-import 1" in plain


def test_mails_are_imported_with_progress_in_a_terminal(tmp_path: Path) -> None:
    imported(tmp_path, 300)


@pytest.mark.soak
def test_ten_thousand_mails_are_imported_with_progress_in_a_terminal(tmp_path: Path) -> None:
    imported(tmp_path, 10_000)


def test_an_unknown_file_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "report"
    file.write_bytes(b"%PDF-1.7\n")
    assert run(["history", "import", str(file)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "looks like a PDF document" in error


def test_a_table_of_excels_is_read_and_the_guess_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes("Frage;Antwort;Datum\r\nGröße?;größe M, bitte;03/04/2025\r\n".encode("cp1252"))
    mapped = ["--map", "output=Antwort", "--map", "input=Frage", "--map", "date=Datum"]
    assert run(["history", "import", str(file), *mapped]) == 2
    assert "--date-format" in capsys.readouterr().err
    assert run(["history", "import", str(file), *mapped, "--date-format", "%d/%m/%Y", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["added"], found["import"]) == (1, 1)
    assert "cp1252" in found["remarks"][0]
    assert run(["history", "list", "--json"]) == 0
    [item] = json.loads(capsys.readouterr().out)["items"]
    assert (item["output"], item["created_at"][:10]) == ("größe M, bitte", "2025-04-03")


def test_a_preview_says_how_it_would_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["history", "import", str(mailbox(tmp_path / "Sent", 20)), "--preview", "30"]) == 0
    shown = capsys.readouterr()
    assert "took the mails from jo@example.org as yours" in shown.err
    assert "2 from another sender" in shown.err
    assert shown.out.count("output:") == 18


def test_several_names_are_one_author(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(mailbox(tmp_path / "Sent", 20))
    assert run(["history", "import", path, "--author", "jo@", "--author", "EVE", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["added"] == 20


def test_the_runtime_imports_as_the_command_does(tmp_path: Path) -> None:
    seen: list[float] = []
    with Runtime.open() as runtime:
        done = runtime.import_(mailbox(tmp_path / "Sent", 20), user="ann", kind="mail", advance=seen.append)
        assert (done.added, dict(done.skipped), done.id) == (18, {"from another sender": 2}, 1)
        assert seen[-1] == (tmp_path / "Sent").stat().st_size
        assert {one.kind for one in runtime.history.items("ann")} == {"mail"}
        runtime.history.undo_import(1, "ann")
        assert runtime.history.count("ann") == 0
        with pytest.raises(InvalidInput, match="no label"):
            runtime.import_(tmp_path / "Sent", kind="")
        with pytest.raises(InvalidInput, match="cannot be read"):
            runtime.import_(tmp_path / "missing")


@pytest.mark.parametrize("name", ["", "x" * 5000, "a\0b", "/proc/self/mem", "missing"])
@pytest.mark.parametrize(
    "form", [[], ["--from", "csv"], ["--from", "mbox"], ["--from", "markdown"], ["--from", "chat"]]
)
def test_a_name_that_cannot_be_read_is_one_line(name: str, form: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["history", "import", name, *form]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert len(error) < 500


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


def first_line(text: str) -> str:
    return text.splitlines(keepends=True)[0]


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


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_file_whose_name_is_no_unicode_is_imported(tmp_path: Path) -> None:
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jsonl"))
    write_lines(file, 2)
    assert run(["history", "import", str(file), "--user", "ann"]) == 0
    with History.open(locate().database) as history:
        assert [one.name[-7:] for one in history.imports("ann")] == ["?.jsonl"]
