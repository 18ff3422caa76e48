"""Damaged and doctored files: examined row by row, repaired, restored from; what cannot be kept is set aside."""

from __future__ import annotations

import errno
import json
import os
import random
import sqlite3
import stat
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

import pytest

from edge_ttp.errors import EdgeTTPError, HistoryUnavailable, InvalidInput, NotFound
from edge_ttp.history import History, faults, migrations
from edge_ttp.history.repair import examine, repair, replace_damaged
from edge_ttp.history.work_files import working

from .conftest import new_item
from .hostile_rows import CRAFTED, damage, fill, flip_bits, random_rows, random_schema
from .test_shape import DOCTORED

FOREIGN = {name: script for name, (script, _) in DOCTORED.items()}


def records(path: Path) -> list[str]:
    with History.open(path) as history:
        return [str(one) for one in history.records(None, everything=True)]


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def litter(path: Path) -> list[str]:
    return sorted(name for name in os.listdir(path.parent) if name.startswith(".") and not name.endswith(".lock"))


def script(path: Path, statements: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(statements)


def test_a_sound_history_is_found_sound_and_repairing_it_changes_nothing(path: Path) -> None:
    fill(path)
    before = records(path)
    assert examine(path).sound
    assert examine(path).counts["items"] == 8
    assert repair(path).damaged == ()
    assert records(path) == before
    assert litter(path) == []


@pytest.mark.parametrize("name", [name for name, (table, _) in CRAFTED.items() if table])
def test_a_damaged_row_is_set_aside_and_the_rest_is_sound(path: Path, name: str) -> None:
    table, statements = CRAFTED[name]
    fill(path)
    damage(path, statements)
    assert not examine(path).sound
    made = repair(path)
    assert table in {row.table for row in made.damaged}
    assert made.aside is not None
    assert stat.S_IMODE(made.aside.stat().st_mode) == 0o600
    assert {(line["table"], line["row"]) for line in lines(made.aside)} == {(r.table, r.row) for r in made.damaged}
    assert examine(path).sound
    assert litter(path) == []


def test_what_was_set_aside_stands_in_the_file_with_its_values(path: Path) -> None:
    fill(path)
    damage(path, "UPDATE items SET metadata = 'x', kind = x'00ff' WHERE id = 2")
    made = repair(path)
    assert made.aside is not None
    [line] = [line for line in lines(made.aside) if line["table"] == "items"]
    assert (line["user"], line["row"]) == ("ann", "2")
    assert line["values"]["metadata"] == "x"  # type: ignore[index]
    assert line["values"]["kind"] == {"base64": "AP8="}  # type: ignore[index]


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


def test_a_history_in_use_is_not_repaired(path: Path) -> None:
    fill(path)
    with History.open(path) as history:
        history.count("ann")
        with pytest.raises(HistoryUnavailable, match="locked by another process"):
            repair(path)
    with pytest.raises(NotFound):
        repair(path.with_name("none.db"))


@pytest.mark.parametrize("blocked", [faults.full, faults.locked])
def test_what_keeps_a_history_from_being_read_is_no_fault_of_it(
    path: Path, blocked: Callable[[Path], HistoryUnavailable], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*given: object, **named: object) -> None:
        raise blocked(path)

    fill(path)
    for name in ("open", "health"):
        with monkeypatch.context() as patch:
            patch.setattr(History, name, refused)
            with pytest.raises(HistoryUnavailable, match=r"full|another process"):
                examine(path)


def test_a_folder_that_takes_no_file_is_one_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*given: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    fill(path)
    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(HistoryUnavailable, match=r"Permission denied\); make its folder writable"), working(path):
        pass


def test_a_file_of_another_program_is_not_repaired(path: Path) -> None:
    path.parent.mkdir()
    script(path, "CREATE TABLE letters (a)")
    before = path.read_bytes()
    with pytest.raises(HistoryUnavailable, match="is no history"):
        repair(path)
    assert path.read_bytes() == before
    path.write_text("a letter\n" * 999)
    with pytest.raises(HistoryUnavailable):
        repair(path)
    assert path.read_text() == "a letter\n" * 999


# Restoring


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


def test_a_history_that_does_not_open_any_more_is_kept_when_a_backup_takes_its_place(path: Path) -> None:
    backup = path.with_name("backup.db")
    fill(backup)
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 9999)
    made = replace_damaged(path, backup, salvage=False)
    assert made.kept is not None
    assert made.kept.read_bytes().endswith(b"\xff" * 999)
    assert records(path) == records(backup)


# What is kept


def test_before_an_upgrade_a_copy_is_kept_and_of_copies_the_last_two(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path)
    before = records(path)
    steps = migrations.STEPS
    for number in (1, 2, 3):

        def step(db: object, number: int = number) -> None:
            db.conn.execute(f"CREATE TABLE more_{number} (a)")  # type: ignore[attr-defined]

        step.__name__ = f"m90{number}_more"
        steps = (*steps, step)
        monkeypatch.setattr(migrations, "STEPS", steps)
        History.open(path).close()
    copies = sorted(path.parent.glob("history.db.before-*"))
    assert [copy.name[-10:] for copy in copies] == ["m902_more"[-10:].rjust(10, "-"), "m903_more"[-10:].rjust(10, "-")]
    assert {stat.S_IMODE(copy.stat().st_mode) for copy in copies} == {0o600}
    monkeypatch.setattr(migrations, "STEPS", steps[:-2])
    assert records(copies[0]) == before


def test_forgetting_reaches_every_file_that_is_kept(path: Path) -> None:
    fill(path)
    damage(path, "UPDATE items SET metadata = 'x' WHERE id = 2; UPDATE items SET metadata = 'x' WHERE user = 2")
    made = repair(path)
    assert made.aside is not None
    (path.parent / "history.db.before-m002_learning").write_bytes(b"hello number")
    (path.parent / "history.db.damaged-1").write_bytes(b"hello number")
    with History.open(path) as history:
        history.forget("ann", before=datetime(2026, 1, 1, 12))
    assert [line["user"] for line in lines(made.aside)] == ["bob"]
    assert sorted(file.name for file in path.parent.glob("history.db.*")) == [made.aside.name]
    with History.open(path) as history:
        history.forget("bob", everything=True)
    assert list(path.parent.glob("history.db.*")) == []


@pytest.mark.parametrize("ending", ["new", "old", "read", "copy", "read-wal"])
def test_what_a_killed_process_left_is_gone_at_the_next_opening(path: Path, ending: str) -> None:
    fill(path)
    left = path.with_name(f".history.db.{ending}")
    left.write_bytes(b"texts")
    if ending == "old":  # the history had two names when its process was killed
        left.unlink()
        os.link(path, left)
    with History.open(path) as history:
        assert history.count("ann") == 7
    assert not left.exists()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(24))
def test_random_damage_is_repaired_or_refused(path: Path, seed: int) -> None:
    hostile_repair(path, seed)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_five_hundred_damaged_files_are_repaired_or_refused(tmp_path: Path) -> None:
    done = Counter(hostile_repair(tmp_path / str(seed) / "history.db", seed) for seed in range(2000, 2500))
    print(dict(done))
    assert done.total() == 500


def hostile_repair(path: Path, seed: int) -> str:
    """Damages a file and its backup at random, repairs the one and restores from the other; what it came to."""
    chance = random.Random(seed)
    backup = path.with_name("backup.db")
    fill(backup)
    with suppress(sqlite3.Error):
        match chance.choice(("rows", "schema", "bits")):
            case "rows":
                damage(backup, random_rows(chance))
            case "schema":
                damage(backup, random_schema(chance))
            case "bits":
                flip_bits(backup, chance)
    for file in (f"{backup}-wal", f"{backup}-shm"):
        Path(file).unlink(missing_ok=True)
    path.write_bytes(backup.read_bytes())
    outcome = "repaired"
    try:
        repair(path)
    except EdgeTTPError:
        outcome = "refused"
    else:
        assert examine(path).sound, examine(path)
    assert litter(path) == []
    own = path.with_name("own.db")
    with History.open(own) as history:
        history.add(new_item("mine"))
        for salvage in (False, True):
            with suppress(EdgeTTPError):
                history.restore_backup(backup, salvage=salvage)
                outcome += ", restored" if not salvage else ""
            assert history.health(full=True).sound
            assert history.add(new_item("goes on")).id
    assert examine(own).sound
    return outcome
