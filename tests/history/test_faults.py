"""What SQLite reports, as errors a person can act on."""

from __future__ import annotations

import random
import resource
import sqlite3
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_ttp.errors import EdgeTTPError, HistoryUnavailable, InvalidInput, OutOfCapacity
from edge_ttp.history import History, faults
from edge_ttp.history.faults import DiskFull, HistoryBlocked, HistoryDamaged, primary_code, translated

from .conftest import new_generation, new_item
from .refusing import refused


def test_damaged_pages_are_reported_and_health_says_so(path: Path) -> None:
    with History.open(path) as history:
        history.add_many(new_item(f"text {number} " + "word " * 50) for number in range(500))
    content = bytearray(path.read_bytes())
    content[8192:-8192] = random.Random(0).randbytes(len(content) - 16384)
    path.write_bytes(content)
    with pytest.raises(HistoryUnavailable, match="not a sound database") as caught, History.open(path) as history:
        history.items("ann")
    assert "restore a backup" in caught.value.cure


def test_a_write_locked_database_times_out_with_a_cure(path: Path) -> None:
    with History.open(path) as history:
        history.add(new_item("before"))
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        with History.open(path, busy_timeout_s=0.1) as history:
            with pytest.raises(HistoryUnavailable, match="locked"):
                history.add(new_item("while locked"))
            assert [item.output for item in history.items("ann")] == ["before"]
    finally:
        blocker.close()
    with History.open(path) as history:
        history.add(new_item("after"))
        assert history.count("ann") == 2


def test_an_exclusively_locked_database_cannot_be_opened(path: Path) -> None:
    History.open(path).close()
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("PRAGMA locking_mode = EXCLUSIVE")
    blocker.execute("BEGIN EXCLUSIVE")
    try:
        assert "locked" in refused(path, busy_timeout_s=0.1)
    finally:
        blocker.close()


def test_a_full_disk_leaves_the_history_as_it_was(history: History) -> None:
    history.add(new_item("before"))
    with history._connections.connection() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(HistoryUnavailable, match="disk is full") as caught:
        history.add(new_item("x" * 100_000))
    assert "free some space" in caught.value.cure
    with pytest.raises(HistoryUnavailable, match="disk is full"):
        history.record(new_generation("g1", texts=("y" * 100_000,)))
    with history._connections.connection() as db:
        db.execute(f"PRAGMA max_page_count = {2**30}")
    assert [item.output for item in history.items("ann")] == ["before"]
    assert history.generations("ann") == []
    history.add(new_item("after"))
    assert history.health(full=True).sound


def test_a_file_that_may_not_grow_is_one_clear_error(tmp_path: Path) -> None:
    def task() -> None:
        with History.open(tmp_path / "history.db") as history:
            history.add(new_item("before"))
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
            with pytest.raises(HistoryUnavailable):
                history.add_many(new_item(f"{number} " + "word " * 1000) for number in range(200))
            assert history.count("ann") == 1

    child = get_context("fork").Process(target=task)
    child.start()
    child.join()
    assert child.exitcode == 0
    with History.open(tmp_path / "history.db") as history:
        assert [item.output for item in history.items("ann")] == ["before"]
        assert history.health(full=True).sound


def reported(code: int, message: str = "said") -> sqlite3.OperationalError:
    """What SQLite raises with this result code."""
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (sqlite3.SQLITE_BUSY, HistoryBlocked, "locked by another process"),
        (sqlite3.SQLITE_BUSY | (2 << 8), HistoryBlocked, "locked by another process"),  # an extension of the same
        (sqlite3.SQLITE_FULL, DiskFull, "the disk is full"),
        (sqlite3.SQLITE_READONLY, HistoryUnavailable, "is read-only"),
        (sqlite3.SQLITE_CORRUPT, HistoryDamaged, "not a sound database"),
        (sqlite3.SQLITE_NOTADB, HistoryDamaged, "not a sound database"),
        (sqlite3.SQLITE_IOERR, HistoryUnavailable, "cannot be read or written"),
        (sqlite3.SQLITE_NOMEM, OutOfCapacity, "not enough memory"),
        (sqlite3.SQLITE_ERROR, HistoryUnavailable, "cannot be used"),
    ],
)
def test_every_result_code_has_its_error_and_its_cure(
    tmp_path: Path, code: int, kind: type[EdgeTTPError], said: str
) -> None:
    error = reported(code)
    with pytest.raises(kind, match=said) as raised, translated(tmp_path / "history.db"):
        raise error
    assert type(raised.value) is kind
    assert raised.value.cure
    assert raised.value.__cause__ is error
    assert primary_code(error) == code & 0xFF


def test_a_disk_without_room_is_told_where_nothing_can_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults.shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(HistoryBlocked, match="the disk is full"), translated(tmp_path / "history.db"):
        raise reported(sqlite3.SQLITE_CANTOPEN)


def test_what_a_hostile_file_has_sqlite_say_is_one_printable_line(tmp_path: Path) -> None:
    with pytest.raises(HistoryUnavailable) as raised, translated(tmp_path / "history.db"):
        raise reported(sqlite3.SQLITE_ERROR, "no such table:\n\x1b[31m" + "x" * 1000)
    assert str(raised.value).isprintable()
    assert len(raised.value.fact) < 500


def test_values_that_no_database_takes_are_invalid_input(tmp_path: Path) -> None:
    for error, said in (
        (UnicodeEncodeError("utf-8", "a\ud800", 1, 2, "x"), "not valid Unicode"),
        (OverflowError(), "2"),
    ):
        with pytest.raises(InvalidInput, match=said), translated(tmp_path / "history.db"):
            raise error
    assert primary_code(ValueError()) == 0


def test_a_full_disk_is_known_by_its_message_where_a_function_within_met_it() -> None:
    assert primary_code(reported(sqlite3.SQLITE_ERROR, "database or disk is full")) == sqlite3.SQLITE_FULL
    assert primary_code(reported(sqlite3.SQLITE_ERROR, "no such table: disk is full")) == sqlite3.SQLITE_ERROR
