"""A new file made of what can be read of another: older versions, doctored schemas, spoilt names."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_ttp.errors import HistoryUnavailable
from edge_ttp.history import History, migrations
from edge_ttp.history.repair import examine, repair

from .damaged_files import litter, records, script
from .hostile_rows import fill
from .test_salvage import FOREIGN


@pytest.mark.parametrize("name", [name for name in FOREIGN if name != "no mark of this program"])
def test_a_doctored_schema_is_repaired_and_no_row_is_lost_that_is_there(path: Path, name: str) -> None:
    fill(path)
    before = records(path)
    script(path, FOREIGN[name])
    repair(path)
    assert examine(path).sound
    after = records(path)
    if "column" in name or "missing" in name or "view in place of a table" in name or "rules" in name:
        assert set(after) <= set(before)
    else:
        assert after == before
    assert litter(path) == []


def test_a_table_whose_name_was_hit_by_a_bit_is_found_again(path: Path) -> None:
    fill(path)
    before = records(path)
    data = path.read_bytes()
    at = data.index(b"CREATE TABLE items")
    path.write_bytes(data[: at + 13] + b"jtems" + data[at + 18 :])
    with pytest.raises(HistoryUnavailable):
        History.open(path)
    repair(path)
    assert records(path) == before


def test_a_backup_of_an_older_version_is_restored(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backup = path.with_name("backup.db")
    monkeypatch.setattr(migrations, "STEPS", migrations.STEPS[:3])
    path.parent.mkdir()
    old = sqlite3.connect(backup, isolation_level=None)
    migrations.migrate(old)
    old.execute("INSERT INTO users (name, created_at) VALUES ('ann', 1)")
    old.execute(
        "INSERT INTO items (user, kind, created_at, source, words, fingerprint, input, output, metadata) "
        "VALUES (1, 'text', 1, 'cli', 0, x'00', 'old', 'older', '{}')"
    )
    old.close()
    monkeypatch.undo()
    with History.open(path) as history:
        history.restore_backup(backup)
        assert [item.output for item in history.items("ann")] == ["older"]
        assert history.recall("ann", "older", 1)[0].score > 0


def test_an_answer_of_every_older_version_is_restored(path: Path) -> None:
    for steps in range(1, len(migrations.STEPS)):
        old = path.with_name(f"old-{steps}.db")
        path.parent.mkdir(exist_ok=True)
        fill(path.with_name(f"full-{steps}.db"))
        with closing(sqlite3.connect(old, isolation_level=None)) as db, pytest.MonkeyPatch.context() as patch:
            patch.setattr(migrations, "STEPS", migrations.STEPS[:steps])
            migrations.migrate(db)
            db.execute("ATTACH DATABASE ? AS full", (str(path.with_name(f"full-{steps}.db")),))
            for table in ("users", "items", "generations", "candidates"):
                columns = ", ".join(row[1] for row in db.execute(f"PRAGMA main.table_info({table})"))
                db.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM full.{table}")
        with History.open(path) as history:
            history.restore_backup(old)
            assert {one.generation_id for one in history.generations("ann")} == {"g1", "g2"}
