"""Files that are kept beside a history on purpose, and how forgetting reaches them."""

from __future__ import annotations

import errno
import stat
from datetime import datetime
from pathlib import Path

import pytest

from edge_ttp.history import History, kept, migrations
from edge_ttp.history.kept import forget_kept, keep_aside, keep_damaged
from edge_ttp.history.repair import repair, replace_damaged
from edge_ttp.history.salvage import SetAside
from edge_ttp.history.sieve import DamagedRow

from .damaged_files import lines, records
from .hostile_rows import damage, fill


def test_a_history_that_does_not_open_any_more_is_kept_when_a_backup_takes_its_place(path: Path) -> None:
    backup = path.with_name("backup.db")
    fill(backup)
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 9999)
    made = replace_damaged(path, backup, salvage=False)
    assert made.kept is not None
    assert made.kept.read_bytes().endswith(b"\xff" * 999)
    assert records(path) == records(backup)


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


def aside(path: Path, *rows: tuple[str | None, dict[str, object]]) -> Path:
    found = keep_aside(path, [SetAside(DamagedRow("items", str(at), "odd"), *row) for at, row in enumerate(rows)])
    assert found is not None
    return found


def test_rows_set_aside_are_private_lines_of_json_with_their_bytes(path: Path) -> None:
    path.parent.mkdir()
    assert keep_aside(path, []) is None
    first = aside(path, ("ann", {"output": "words", "blob": b"\xff"}))
    assert lines(first) == [
        {
            "table": "items",
            "row": "0",
            "reason": "odd",
            "user": "ann",
            "values": {"output": "words", "blob": {"base64": "/w=="}},
        }
    ]
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert aside(path, (None, {})).name == "history.db.set-aside-2.jsonl"


def test_forgetting_a_user_leaves_rows_of_others_and_takes_those_of_nobody(path: Path) -> None:
    path.parent.mkdir()
    mixed = aside(path, ("ann", {}), ("bob", {}), (None, {}))
    hers = aside(path, ("ann", {}))
    with mixed.open("a") as file:
        file.write("no json\n")
    forget_kept(path, "ann")
    assert [line["user"] for line in lines(mixed)] == ["bob"]
    assert not hers.exists()
    forget_kept(path, None)
    assert list(path.parent.iterdir()) == []


def test_on_a_full_disk_what_is_kept_of_others_stays_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "a file")

    path.parent.mkdir()
    mixed = aside(path, ("ann", {}), ("bob", {}))
    monkeypatch.setattr(kept, "_write", no_space)
    with pytest.raises(OSError, match="No space"):
        forget_kept(path, "ann")
    assert list(path.parent.iterdir()) == [mixed]
    assert [line["user"] for line in lines(mixed)] == ["ann", "bob"]


def test_a_damaged_file_keeps_its_log_under_its_new_name(path: Path) -> None:
    path.parent.mkdir()
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).write_bytes(b"x")
    (path.parent / "history.db.damaged-1").write_bytes(b"an earlier one")
    kept = keep_damaged(path)
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "history.db.damaged-1",
        "history.db.damaged-2",
        "history.db.damaged-2-wal",
    ]
    assert kept.name == "history.db.damaged-2"
