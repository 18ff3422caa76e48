"""Streams that are closed, full or narrow, and Ctrl-C from the first line on: one line, an exit code, no traceback."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EDGE_TTP = [sys.executable, "-m", "edge_ttp"]
COMMANDS = [
    ("history", "list"),
    ("history", "list", "--json"),
    ("history", "export"),
    ("history", "stats"),
    ("history", "path"),
    ("--help",),
    ("history",),
    ("history", "list", "--bogus"),
    ("history", "list", "--bogus", "--json"),
    ("models", "list"),
]


@pytest.fixture(autouse=True)
def something(home: Path) -> None:
    subprocess.run([*EDGE_TTP, "history", "add", "--output", "hello"], check=True, capture_output=True)


def shell(command: tuple[str, ...], redirection: str) -> subprocess.CompletedProcess[str]:
    words = " ".join([*EDGE_TTP, *command])
    return subprocess.run(["sh", "-c", f"{words} {redirection}"], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_output_that_takes_nothing_is_one_line_and_exit_code_1(command: tuple[str, ...], redirection: str) -> None:
    done = shell(command, redirection)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("edge-ttp: ")
    if "--bogus" not in command:
        assert "standard output cannot be used" in done.stderr
        assert done.returncode == 1


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2>&- <&- ", "<&-"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_errors_stream_or_an_input_that_is_closed_changes_no_result(
    command: tuple[str, ...], redirection: str
) -> None:
    usual, done = shell(command, ""), shell(command, redirection)
    assert (done.stdout, done.returncode) == (usual.stdout, usual.returncode)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("history", "add", "-o", "-"), ("generate", "-"), ("history", "import", "-")])
def test_an_input_that_is_closed_is_an_empty_one(command: tuple[str, ...]) -> None:
    done = shell(command, "<&-")
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 2)


def test_no_file_takes_the_number_of_a_closed_stream(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "export.jsonl"
    done = shell(("history", "export", "--output", str(target)), ">&- 2>&- <&-")
    assert done.returncode in (0, 1)
    assert target.read_text().startswith('{"')
    assert "edge-ttp" not in target.read_text()


@pytest.mark.parametrize("columns", ["0", "-1", "x", "", "1", "3", "9" * 30])
def test_whatever_columns_says_the_table_has_rows(columns: str) -> None:
    done = subprocess.run(
        [*EDGE_TTP, "history", "list"], env={**os.environ, "COLUMNS": columns}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip().splitlines()) == 2
    assert "1" in done.stdout.splitlines()[1]


def interrupted(delay_s: float, *command: str) -> subprocess.CompletedProcess[str]:
    process = subprocess.Popen(
        [*EDGE_TTP, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(delay_s)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.mark.slow
def test_ctrl_c_at_any_moment_is_one_line_of_ours() -> None:
    chance = random.Random(0)
    seen = set()
    for _ in range(40):
        done = interrupted(chance.uniform(0, 0.5), "history", "list")
        ours = [line for line in done.stderr.splitlines() if "/edge_ttp/" in line]
        assert not ours, done.stderr  # before our first line, Python itself may still print a traceback of its own
        if "Traceback" not in done.stderr:
            assert (done.returncode, done.stderr) in [(130, "edge-ttp: interrupted\n"), (0, ""), (-2, "")]
        seen.add(done.returncode)
    assert 130 in seen


def test_ctrl_c_in_the_middle_of_an_exec_ends_with_our_code(tmp_path: Path) -> None:
    (tmp_path / "stopped.py").write_text(
        "from edge_ttp.cli import main\nmain._invoke = lambda *given: exec('raise KeyboardInterrupt')\nmain.main([])\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "stopped"], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (130, "edge-ttp: interrupted\n")


def test_ctrl_c_while_a_command_waits_is_one_line() -> None:
    done = interrupted(1.5, "history", "add", "-o", "-")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "edge-ttp: interrupted\n")


def test_a_librarys_warning_is_one_line_said_once() -> None:
    code = (
        "import warnings\nimport numpy as np\nfrom edge_ttp.cli.standard_streams import warn_in_one_line\n"
        "warn_in_one_line()\n"
        "for _ in range(2):\n    np.zeros(1) / np.zeros(1)\n    warnings.warn('two\\nlines')\n"
        "warnings.warn('of no use to a user', DeprecationWarning)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    first, second = done.stderr.splitlines()
    assert first.startswith("note: invalid value encountered")
    assert second == "note: two lines"
