"""What can be read of a file that nobody vouches for: every column, nothing foreign, what is lost set aside."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing, suppress
from pathlib import Path

import pytest

from edge_ttp.errors import HistoryUnavailable
from edge_ttp.history import History
from edge_ttp.history.repair import examine, repair

from .conftest import new_item
from .damaged_files import lines, script
from .hostile_rows import damage, fill
from .test_shape import DOCTORED

FOREIGN = {name: script for name, (script, _) in DOCTORED.items()}


def test_what_was_set_aside_stands_in_the_file_with_its_values(path: Path) -> None:
    fill(path)
    damage(path, "UPDATE items SET metadata = 'x', kind = x'00ff' WHERE id = 2")
    made = repair(path)
    assert made.aside is not None
    [line] = [line for line in lines(made.aside) if line["table"] == "items"]
    assert (line["user"], line["row"]) == ("ann", "2")
    assert line["values"]["metadata"] == "x"  # type: ignore[index]
    assert line["values"]["kind"] == {"base64": "AP8="}  # type: ignore[index]


def test_pages_that_cannot_be_read_cost_only_what_stood_in_them(path: Path) -> None:
    with History.open(path) as history:
        history.add_many(new_item(f"text {at} " + "x" * 900) for at in range(200))
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    at = data.index(b"text 100 ") // 4096 * 4096
    data[at : at + 4096] = b"\xff" * 4096
    path.write_bytes(bytes(data))
    assert not examine(path).sound
    made = repair(path)
    assert examine(path).sound
    with History.open(path) as history:
        assert 190 <= history.count("ann") < 200
    assert made.kept is not None  # not all of it could be read
    assert stat.S_IMODE(made.kept.stat().st_mode) == 0o600


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", FOREIGN)
def test_nothing_foreign_comes_in_with_a_backup(path: Path, name: str) -> None:
    backup = path.with_name("backup.db")
    fill(backup)
    script(backup, FOREIGN[name])
    with History.open(path) as history:
        history.add(new_item("mine"))
        with suppress(HistoryUnavailable):
            history.restore_backup(backup)
        assert history.health(full=True).sound
        added = history.add(new_item("goes on"))
        assert history.item(int(added.id or 0)).output == "goes on"
        if "trigger" in name or "index" in name or "foreign" in name or "column" in name:
            assert len(history.users()) == 2, "the rows are there all the same"
    assert examine(path).sound


def test_broken_full_text_data_of_a_backup_is_made_anew(path: Path) -> None:
    backup = path.with_name("backup.db")
    fill(backup)
    script(backup, "UPDATE item_index_data SET block = x'00'; DELETE FROM terms; UPDATE users SET items = 99")
    with History.open(path) as history:
        history.restore_backup(backup)
        assert history.count("ann") == 7
        assert history.recall("ann", "hello number 3", 1)[0].item.output == "hello number 3"
        assert history.health(full=True).sound


def test_every_column_of_every_table_is_restored(path: Path) -> None:
    backup = path.with_name("backup.db")
    fill(backup)
    with closing(sqlite3.connect(backup)) as db:
        db.execute("INSERT INTO imports (import, user, created_at, name) VALUES (7, 1, 5, 'file')")
        db.execute(
            "INSERT INTO evidence (user, feedback, reward, kind, moment, candidate, features, noise) "
            "SELECT user, 1, reward, 'reject', moment, 0, features, noise FROM evidence LIMIT 1"
        )
        db.execute("UPDATE items SET import = 7 WHERE id = 1")
        db.execute("UPDATE generations SET import = 7, remember = 'this', conversation = 'c' WHERE id = 'g1'")
        db.commit()
    with History.open(path) as history:
        history.restore_backup(backup)
    made_anew = ("posteriors", "chores", "terms")
    with closing(sqlite3.connect(path)) as mine, closing(sqlite3.connect(backup)) as theirs:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%STRICT%'"
        for (table,) in theirs.execute(query).fetchall():
            if table in made_anew:
                continue
            columns = [
                row[1]
                for row in theirs.execute(f"PRAGMA table_info({table})")
                if (table, row[1]) != ("users", "evidence")
            ]
            dump = f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1, 2"
            assert mine.execute(dump).fetchall() == theirs.execute(dump).fetchall(), table
            for column in columns:
                some = theirs.execute(f"SELECT count({column}) FROM {table}").fetchone()[0]
                assert some, f"no row of the test has {table}.{column}: fill it"
