"""Files whose tables are not as this program made them are refused in one line; packed files pass."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_ttp.errors import HistoryUnavailable
from edge_ttp.history import History

from .conftest import new_generation, new_item

DOCTORED = {
    "a missing table": ("DROP TABLE feedback", "the table feedback is missing"),
    "a view in place of a table": ("DROP TABLE items; CREATE VIEW items AS SELECT 1 AS id", "items is another view"),
    "an endless view in place of the bookkeeping": (
        "DROP TABLE _sqlite_migrations; CREATE VIEW _sqlite_migrations AS "
        "WITH RECURSIVE n(name) AS (SELECT 'a' UNION ALL SELECT name || 'a' FROM n) SELECT name, name AS migration_set "
        "FROM n",
        "does not say of which version",
    ),
    "a trigger that eats rows": (
        "CREATE TRIGGER eater AFTER INSERT ON items BEGIN DELETE FROM items WHERE id = new.id; END",
        "the trigger eater is none of this program's",
    ),
    "one of our triggers gone": ("DROP TRIGGER items_counted", "the trigger items_counted is missing"),
    "a foreign table": ("CREATE TABLE letters (a)", "the table letters is none of this program's"),
    "a foreign index": ("CREATE INDEX more ON items (kind)", "the index more is none of this program's"),
    "another column": ("ALTER TABLE items ADD COLUMN extra TEXT", "items is another table"),
    "a renamed column": ("ALTER TABLE items RENAME COLUMN input TO question", "items"),
    "no full-text index": ("DROP TABLE item_index", "the table item_index is missing"),
    "a plain table for the full-text index": (
        "DROP TABLE item_index; CREATE TABLE item_index (terms)",
        "item_index is another table",
    ),
    "weaker rules": (
        "DROP TABLE settings; CREATE TABLE settings (user INTEGER, name TEXT, value TEXT)",
        "settings is another table",
    ),
    "no mark of this program": ("PRAGMA application_id = 0", "another program"),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", DOCTORED)
def test_a_doctored_schema_is_refused_in_one_line(path: Path, name: str) -> None:
    script, words = DOCTORED[name]
    with History.open(path) as history:
        history.add(new_item("kept"))
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)
    before = path.read_bytes()
    with pytest.raises(HistoryUnavailable, match=words) as refused:
        History.open(path)
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == before


def test_packed_backed_up_and_analyzed_files_are_as_they_were_made(path: Path) -> None:
    with History.open(path) as history:
        history.add(new_item("kept"))
        history.record(new_generation("g"))
        history.backup(path.with_name("copy.db"))
    with closing(sqlite3.connect(path)) as db:
        db.execute("VACUUM")
        db.execute("ANALYZE")
    for file in (path, path.with_name("copy.db")):
        with History.open(file) as history:
            assert history.count("ann") == 1
