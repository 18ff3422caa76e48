"""Steps that are applied once and in order: a failing one, a later one, a foreign file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_ttp.errors import HistoryUnavailable
from edge_ttp.history import History, migrations
from edge_ttp.history.faults import HistoryDamaged

from .conftest import new_item
from .refusing import refused


def test_another_programs_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE items (a)")
    other.close()
    assert "another program" in refused(path)


def test_a_newer_versions_database_is_left_alone(path: Path) -> None:
    History.open(path).close()
    with sqlite3.connect(path) as other:
        other.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, 'm999_from_the_future', '')",
            (migrations.SET_NAME,),
        )
    other.close()
    message = refused(path)
    assert "newer version" in message
    assert "m999_from_the_future" in message


def test_a_migration_that_fails_leaves_no_half_of_itself(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    History.open(path).close()

    def m002_broken(db: object) -> None:
        db.conn.execute("CREATE TABLE half (a)")  # type: ignore[attr-defined]
        db.conn.execute("INSERT INTO nowhere VALUES (1)")  # type: ignore[attr-defined]

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, m002_broken))
    with pytest.raises(HistoryUnavailable, match="nowhere"):
        History.open(path)
    monkeypatch.undo()
    with History.open(path) as history, history._connections.reading() as db:
        assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetchone()[0] == 0


def test_a_later_step_is_applied_to_an_existing_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with History.open(path) as history:
        history.add(new_item("kept"))

    def m002_more(db: object) -> None:
        db.conn.execute("CREATE TABLE more (a)")  # type: ignore[attr-defined]

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, m002_more))
    with History.open(path) as history, history._connections.reading() as db:
        assert history.count("ann") == 1
        assert db.execute("SELECT count(*) FROM more").fetchone()[0] == 0
    monkeypatch.undo()
    assert "newer version" in refused(path)


def test_every_step_is_pending_of_a_new_file_and_none_of_one_that_was_made(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        assert migrations.pending(db, "here") == [step.__name__ for step in migrations.STEPS]
        migrations.migrate(db)
        assert migrations.pending(db, "here") == []
        migrations.migrate(db)  # again
        assert db.execute("PRAGMA application_id").fetchone()[0] == migrations.APPLICATION_ID


def test_a_file_that_does_not_say_its_version_is_damaged(path: Path) -> None:
    History.open(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"DROP TABLE {migrations.BOOKKEEPING}")
        with pytest.raises(HistoryDamaged, match="of which version"):
            migrations.pending(db, "here")


@pytest.mark.parametrize(
    ("sql", "plain"),
    [
        ("CREATE TABLE t (a)", True),
        ("CREATE VIEW t AS SELECT 1 AS a", False),
        ("CREATE TABLE t AS SELECT 1 AS a", True),  # SQLite keeps the table's own columns
        ("CREATE TABLE t (a, b GENERATED ALWAYS AS (a + 1))", False),
        ("CREATE VIRTUAL TABLE t USING fts5 (a)", False),
    ],
)
def test_only_an_ordinary_table_is_read(sql: str, plain: bool) -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(sql)
        assert migrations.is_table(db, "t") is plain
        assert not migrations.is_table(db, "u")


@pytest.mark.parametrize(
    ("kind", "sql", "plain"),
    [
        ("index", None, True),
        ("table", None, False),
        ("table", "CREATE TABLE t (a, b)", True),
        ("index", "CREATE INDEX i ON t (a)", True),
        ("index", "CREATE INDEX i ON t (a) WHERE a > 1", False),
        ("table", "CREATE TABLE t (a DEFAULT (hex(randomblob(9))))", False),
        ("table", "CREATE TABLE t (a CHECK(a > 1))", False),
        ("trigger", "CREATE TRIGGER t AFTER INSERT ON t BEGIN SELECT 1; END", False),
        ("table", b"CREATE TABLE t (a)", False),
    ],
)
def test_what_computes_is_told_from_what_does_not(kind: str, sql: object, plain: bool) -> None:
    assert migrations.computes_nothing(kind, sql) is plain
