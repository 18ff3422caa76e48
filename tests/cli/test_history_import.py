"""`history import` as a person sees it, in a terminal, and what it says of what it read."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from edge_ttp import Runtime
from edge_ttp.cli.main import run
from edge_ttp.errors import InvalidInput


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
