from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from edge_ttp.history import History

from .conftest import new_generation, new_item


def test_a_sound_history_is_reported_with_counts_and_sizes(history: History, path: Path) -> None:
    history.add_many([new_item("one"), new_item("two", user="bob")])
    history.record(new_generation("g1"))
    for full in (False, True):
        health = history.health(full=full)
        assert health.sound
        assert health.problems == ()
        assert health.full_check is full
        assert health.counts == {
            "users": 2,
            "items": 2,
            "generations": 1,
            "candidates": 3,
            "feedback": 0,
            "layers": 0,
            "calibrations": 0,
            "evidence": 0,
            "posteriors": 0,
            "vectors": 0,
            "settings": 0,
        }
        assert health.path == path
        assert health.bytes == path.stat().st_size > 0
        assert health.wal_bytes > 0
        assert health.journal_mode == "wal"
        assert health.private
        assert health.modes["history.db"] == "0600"


def test_files_open_to_others_are_reported(history: History, path: Path) -> None:
    path.chmod(0o640)
    health = history.health()
    assert not health.private
    assert health.modes["history.db"] == "0640"


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM item_index WHERE rowid >> 12 = 1", "1 items are not in the index"),
        ("UPDATE users SET items = 7", "the counts of 1 users are wrong"),
        ("UPDATE item_index_content SET c0 = 'else' WHERE id >> 12 = 2", "does not match its own content"),
        ("DELETE FROM item_index_data WHERE id > 100", "not a sound database|does not match|malformed"),
    ],
)
def test_an_index_that_does_not_fit_is_found_by_the_full_check(history: History, statement: str, problem: str) -> None:
    history.add_many([new_item("one"), new_item("two")])
    with history._connections.writing() as db:
        db.execute(statement)
    health = history.health(full=True)
    assert not health.sound
    assert re.search(problem, " ".join(health.problems))


def test_rows_without_an_owner_are_found(history: History) -> None:
    history.add(new_item("one"))
    with history._connections.connection() as db:
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute("DELETE FROM users")
        db.execute("PRAGMA foreign_keys = ON")
    assert any("without an owner" in problem for problem in history.health().problems)


def test_damaged_pages_are_problems_not_errors(path: Path) -> None:
    with History.open(path) as history:
        history.add_many(new_item(f"text {number} " + "word " * 50) for number in range(500))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 8 * 4096] = os.urandom(8 * 4096)
    path.write_bytes(content)
    with History.open(path) as history:
        health = history.health()
    assert not health.sound
    assert health.problems
