"""Damaged and doctored files: examined row by row, repaired, restored from; what cannot be kept is set aside."""

from __future__ import annotations

import random
import sqlite3
import stat
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from edge_ttp.errors import EdgeTTPError, HistoryUnavailable, NotFound
from edge_ttp.history import History, faults
from edge_ttp.history.repair import examine, repair

from .conftest import new_item
from .damaged_files import lines, litter, records, script
from .hostile_rows import CRAFTED, damage, fill, flip_bits, random_rows, random_schema


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


@pytest.mark.slow
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


# What is kept


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
