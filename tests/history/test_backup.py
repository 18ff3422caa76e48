"""Backups: private and whole, and what is restored of one or refused."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from edge_ttp.errors import HistoryUnavailable, InvalidInput, NotFound
from edge_ttp.history import History
from edge_ttp.history.repair import examine

from .conftest import new_item
from .damaged_files import litter
from .hostile_rows import CRAFTED, damage, fill
from .owned import fill as fill_user


@pytest.mark.parametrize("name", [name for name, (table, _) in CRAFTED.items() if table])
def test_a_backup_with_a_damaged_row_changes_nothing_unless_the_loss_is_agreed_to(path: Path, name: str) -> None:
    backup = path.with_name("backup.db")
    fill(backup)
    damage(backup, CRAFTED[name][1])
    with History.open(path) as history:
        history.add(new_item("mine"))
        with pytest.raises(HistoryUnavailable, match=r"cannot be restored .*--salvage"):
            history.restore_backup(backup)
        assert [item.output for item in history.items("ann")] == ["mine"]
        assert history.restore_backup(backup, salvage=True)
        assert history.health(full=True).sound
        assert "mine" not in [item.output for item in history.items("ann")]
    assert examine(path).sound
    assert litter(path) == []


def test_a_restored_history_gives_no_number_twice(path: Path) -> None:
    backup = path.with_name("backup.db")
    with History.open(path) as history:
        last = [history.add(new_item(text)) for text in ("a", "b", "c")][-1]
        history.forget("ann", item_id=int(last.id or 0))
        history.backup(backup)
        history.restore_backup(backup)
        assert int(history.add(new_item("d")).id or 0) > int(last.id or 0)


def test_restoring_from_itself_and_from_no_file_is_refused(path: Path) -> None:
    with History.open(path) as history:
        history.add(new_item("mine"))
        os.link(path, path.with_name("link.db"))
        with pytest.raises(InvalidInput, match="is the history itself"):
            history.restore_backup(path.with_name("link.db"))
        os.mkfifo(path.with_name("pipe"))
        with pytest.raises(NotFound):
            history.restore_backup(path.with_name("pipe"))


def test_a_backup_is_private_whole_and_restores_what_was(history: History, path: Path) -> None:
    fill_user(history, "ann")
    copy = path.parent / "copy.db"
    before = list(history.records(None, everything=True))
    assert history.backup(copy) == copy.stat().st_size
    assert copy.stat().st_mode & 0o777 == 0o600
    history.forget("ann", everything=True)
    history.add(new_item("later", user="bob"))
    history.restore_backup(copy)
    assert list(history.records(None, everything=True)) == before
    assert history.users() == ["ann"]
    assert history.posterior("ann", "r1") is None  # made again from the evidence when it is needed
    health = history.health(full=True)
    assert (health.problems, health.journal_mode, health.private) == ((), "wal", True)
    history.add(new_item("goes on"))
    with History.open(path) as other:
        assert other.count("ann") == 3


def test_a_backup_that_is_not_sound_changes_nothing(history: History, path: Path) -> None:
    fill_user(history, "ann")
    before = list(history.records(None, everything=True))
    copy = path.parent / "copy.db"
    history.backup(copy)
    data = bytearray(copy.read_bytes())
    data[4096 : 4096 * 8] = b"\xff" * (4096 * 7)
    copy.write_bytes(data)
    other = path.parent / "other.db"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE t (a)")
    empty = path.parent / "empty.db"
    empty.write_bytes(b"")
    text = path.parent / "text.db"
    text.write_text("no database")
    for bad in (copy, other, empty, text):
        with pytest.raises(HistoryUnavailable):
            history.restore_backup(bad)
    with pytest.raises(NotFound):
        history.restore_backup(path.parent / "missing.db")
    assert list(history.records(None, everything=True)) == before


def test_a_backup_never_takes_the_place_of_the_history_or_of_a_folder(history: History, path: Path) -> None:
    for bad in (path, path.parent, path.parent / "none" / "copy.db"):
        with pytest.raises(InvalidInput):
            history.backup(bad)
    assert not list(path.parent.glob(".*"))
