"""`edge-ttp generate` as a process over a history that is locked, read-only, damaged or on a full disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from fakes.command import FAKED, edge_ttp, model_files, one_object
from fakes.real import spare_measuring

from edge_ttp.errors import HistoryUnavailable
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import HistoryItem

pytestmark = pytest.mark.real

ASK = ("generate", "hello", "--user", "ann", "--n", "2", "--max-tokens", "4", "--select", "consensus", "--seed", "1")
FAULT = HistoryUnavailable.exit_code


@pytest.fixture
def database(models_home: Path) -> Path:
    """The history of a home with the real policy, with a few items of ann's in it."""
    spare_measuring(models_home)
    path = locate(models_home).database
    with History.open(path) as history:
        for number in range(40):
            history.add(HistoryItem(user_id="ann", input=f"hello {number}", output=f"good day {number}"))
    return path


def answered(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Checks that an answer was printed, that stderr says why it is not recorded, and that the exit code tells."""
    assert done.returncode == FAULT, done.stderr
    assert done.stdout.strip()
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("note: not recorded: ")]
    assert all(word in line for word in words), line


def refused(done: subprocess.CompletedProcess[str], words: str) -> None:
    """Checks that one line says what is wrong, and that nothing was answered."""
    assert done.returncode == FAULT, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("edge-ttp: the history ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture
def holder(database: Path) -> Iterator[None]:
    """Another process that holds the database's write lock."""
    code = (
        "import sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('BEGIN EXCLUSIVE')\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield
    process.communicate()


@pytest.mark.usefixtures("holder")
def test_a_database_locked_by_another_process_costs_the_record_and_not_the_answer() -> None:
    done = edge_ttp(*ASK, "--json")
    assert done.returncode == FAULT
    assert done.stderr == ""
    found = one_object(done.stdout)
    assert found["text"]
    assert found["stored"] is False
    assert "locked by another process" in found["notes"][-1]
    assert found["plan"]["examples"] > 0


def test_a_file_that_is_no_database_is_one_line(database: Path) -> None:
    for beside in database.parent.glob("history.db-*"):
        beside.unlink()
    database.write_bytes(b"These are not the rows you are looking for.\n" * 400)
    refused(edge_ttp(*ASK), "is not a sound database")
    error = one_object(edge_ttp(*ASK, "--json").stdout)["error"]
    assert (error["code"], error["exit_code"]) == ("history_unavailable", FAULT)
    assert database.read_bytes().startswith(b"These are not")


def test_a_damaged_database_is_one_line(database: Path) -> None:
    with sqlite3.connect(database) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = db.execute("PRAGMA page_size").fetchone()[0]
    damaged = bytearray(database.read_bytes())
    damaged[size:] = b"\xa5" * (len(damaged) - size)
    database.write_bytes(damaged)
    refused(edge_ttp(*ASK), "is not a sound database")


def test_a_folder_in_the_databases_place_is_one_line(database: Path) -> None:
    database.unlink()
    database.mkdir()
    done = edge_ttp(*ASK)
    assert done.returncode == FAULT
    assert done.stderr.count("\n") == 1
    assert "is a folder" in done.stderr


def without_privileges() -> Sequence[str]:
    """What to start a process with so that permissions bind it: root gives up its right to ignore them."""
    if os.geteuid() != 0:
        return ()
    code = (
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "for capability in (1, 2):\n"  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH; 24 is PR_CAPBSET_DROP
        "    if libc.prctl(24, capability, 0, 0, 0):\n"
        "        sys.exit(f'cannot drop a capability: {os.strerror(ctypes.get_errno())}')\n"
        "os.execvp(sys.argv[1], sys.argv[1:])\n"
    )
    return (sys.executable, "-c", code)


@pytest.fixture
def read_only(database: Path) -> Iterator[Path]:
    """The history in a folder that may not be written."""
    database.chmod(0o400)
    database.parent.chmod(0o500)
    yield database
    database.parent.chmod(0o700)


@pytest.mark.usefixtures("read_only")
def test_a_read_only_database_answers_from_the_history_and_says_that_nothing_was_recorded() -> None:
    done = edge_ttp(*ASK, before=without_privileges())
    answered(done, "is read-only", "chmod u+w")
    assert "no history yet" not in done.stderr


@pytest.mark.parametrize("command", ["generate", "rewrite"])
def test_a_home_that_may_not_be_written_and_has_no_history_answers_and_says_so(command: str, read_only: Path) -> None:
    read_only.parent.chmod(0o700)
    read_only.unlink()
    read_only.parent.chmod(0o500)
    done = edge_ttp(command, *ASK[1:], before=without_privileges())
    assert done.returncode == FAULT, done.stderr
    assert done.stdout.strip()
    (line,) = [line for line in done.stderr.splitlines() if "kept in memory only" in line]
    assert "cannot be opened (Permission denied)" in line
    assert "note: not recorded: " in done.stderr
    assert "Traceback" not in done.stderr


# A full disk

WAL_INDEX = 32_768
"""Bytes of the file that SQLite needs beside a database in WAL mode before it can be read."""

FULL = """
from edge_ttp.history import connection

connect = connection.Connections._connect
def full(self, address):
    opened = connect(self, address)
    pages = opened.execute("PRAGMA page_count").fetchone()[0]
    opened.execute(f"PRAGMA max_page_count = {pages}")
    return opened
connection.Connections._connect = full
"""
"""Makes the program's database one that can get no further page: to SQLite that is a full disk."""

needs_mount = pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode != 0,
    reason="mounting a small disk needs a user namespace, which this machine does not allow",
)


def limited(bytes_: int) -> Sequence[str]:
    """What to start a process with so that no file it writes can grow beyond so many bytes."""
    code = (
        "import os, resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes_}, {bytes_}))\n"
        "os.execvp(sys.argv[1], sys.argv[1:])\n"
    )
    return (sys.executable, "-c", code)


@pytest.fixture
def large(tmp_path: Path) -> list[str]:
    """A request whose record needs several pages of its own, over the fake models: the real one would read for long."""
    return ["generate", "hello " + "x" * 30_000, *ASK[2:], *model_files(tmp_path)]


def test_a_file_that_may_not_grow_costs_the_record_and_not_the_answer(database: Path, large: list[str]) -> None:
    done = edge_ttp(*large, program=FAKED, before=limited(WAL_INDEX))
    answered(done, "the history ", "cannot be read or written")
    with History.open(database) as history:
        assert history.generations("ann") == []
        assert history.count("ann") == 40
        assert history.health(full=True).sound


def on_a_full_disk(database: Path, free: int) -> Sequence[str]:
    """What to start a process with in whose eyes the folder of `database` is on a disk with `free` bytes left.

    A small tmpfs in a mount namespace of its own, with a copy of what the folder holds.
    """
    script = (
        'set -e; cp -a "$1" "$1.copy"; mount -t tmpfs -o size=2m,mode=700 none "$1"; cp -a "$1.copy/." "$1"; '
        'dd if=/dev/zero of="$1/filler" bs=4096 2>/dev/null || true; truncate -s "-$2" "$1/filler"; '
        'shift 2; exec "$@"'
    )
    return ("unshare", "-rm", "sh", "-c", script, "sh", str(database.parent), str(free))


@needs_mount
def test_a_disk_too_full_even_for_the_logs_index_still_answers_from_the_history(database: Path) -> None:
    done = edge_ttp(*ASK, before=on_a_full_disk(database, 0))
    answered(done, "the disk is full", "free some space")
    assert "no history yet" not in done.stderr


def test_a_database_that_can_get_no_page_says_that_the_disk_is_full_and_stays_sound(
    database: Path, large: list[str]
) -> None:
    full = FAKED[2].replace("main()\n", FULL + "main()\n")
    done = edge_ttp(*large, program=(*FAKED[:2], full))
    answered(done, "the disk is full", "free some space")
    with History.open(database) as history:
        assert history.generations("ann") == []
        assert history.health(full=True).sound
