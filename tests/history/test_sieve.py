"""Rows that this program cannot have written are named and left out; the others can be used. Never another error."""

from __future__ import annotations

import random
import sqlite3
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

import pytest

from edge_ttp.errors import EdgeTTPError, HistoryUnavailable
from edge_ttp.history import History

from .conftest import new_generation, new_item
from .hostile_rows import CRAFTED, damage, fill, flip_bits, random_rows, random_schema

READS: dict[str, Callable[[History], object]] = {
    "items": lambda history: history.items("ann"),
    "newest": lambda history: history.items("ann", limit=2, before=datetime(2030, 1, 1)),
    "users": lambda history: history.users(),
    "recall": lambda history: history.recall("ann", "hello number say", 4),
    "recall before": lambda history: history.recall("ann", "hello", 4, before=datetime(2026, 1, 4)),
    "search": lambda history: history.search("ann", "hello"),
    "stats": lambda history: (history.stats("ann"), history.stats()),
    "records": lambda history: list(history.records(None, everything=True)),
    "judged": lambda history: list(history.judged_generations(None)),
    "generations": lambda history: history.generations("ann"),
    "judgments": lambda history: history.judgments("g1"),
    "retention": lambda history: history.retention("ann"),
    "layer": lambda history: history.layer("g1"),
    "uncalibrated": lambda history: history.uncalibrated("ann", 10),
    "outdated": lambda history: history.outdated("ann", "r2"),
    "evidence": lambda history: history.evidence("ann", "r1", 10),
    "sourced": lambda history: history.sourced_evidence("ann", "r1", 10),
    "posterior": lambda history: history.posterior("ann", "r1"),
    "vectors": lambda history: history.vectors([1, 2, 3], "e1"),
    "health": lambda history: history.health(full=True),
}
WRITES: dict[str, Callable[[History], object]] = {
    "add": lambda history: history.add(new_item("a new text", given="say")),
    "record": lambda history: history.record(new_generation("new")),
    "forget": lambda history: history.forget("ann", item_id=2),
    "forget older": lambda history: history.forget("ann", before=datetime(2026, 1, 4)),
    "forget all": lambda history: history.forget("ann", everything=True),
}


@pytest.fixture(autouse=True)
def every_warning_is_an_error() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def use(path: Path) -> History | None:
    """Reads and writes everything: each call answers or raises one line. None if it did not open."""
    try:
        history = History.open(path)
    except EdgeTTPError:
        return None
    with history:
        for call in (*READS.values(), *WRITES.values()):
            with suppress(EdgeTTPError):
                call(history)
        for row in history.damaged:
            assert str(row).isprintable()
    return history


@pytest.mark.parametrize("name", CRAFTED)
def test_a_damaged_row_is_named_and_the_others_are_there(path: Path, name: str) -> None:
    table, statements = CRAFTED[name]
    fill(path)
    damage(path, statements)
    with History.open(path) as history:
        for what, read in READS.items():
            if (table, what) == ("settings", "retention"):
                with pytest.raises(HistoryUnavailable, match="settings retention_days"):
                    read(history)
            elif not (table == "generations" and what == "layer"):
                read(history)
        for what in ("items", "recall", "search"):
            assert len(READS[what](history)) >= (0 if "huge" in name else 1), what  # type: ignore[arg-type]
        named = {row.table for row in history.damaged}
        assert table in named or table in ("", "settings"), named
        assert table or not named, named
        for write in WRITES.values():
            with suppress(EdgeTTPError):
                write(history)
    assert use(path) is not None


def test_what_is_recalled_in_the_place_of_a_damaged_row_is_the_next_best(path: Path) -> None:
    fill(path)
    with History.open(path) as history:
        best = [one.item.id for one in history.recall("ann", "hello number 1", 6)]
    damage(path, f"UPDATE items SET metadata = 'x' WHERE id = {best[0]}")
    with History.open(path) as history:
        found = [one.item.id for one in history.recall("ann", "hello number 1", 3)]
        assert set(found) < set(best[1:])
        assert len(found) == 3
        assert [(row.table, row.row) for row in history.damaged] == [("items", str(best[0]))]


def test_asking_for_the_damaged_row_itself_says_what_is_wrong_and_what_to_do(path: Path) -> None:
    fill(path)
    damage(path, "UPDATE items SET metadata = 'x' WHERE id = 2; UPDATE generations SET plan = '{}' WHERE id = 'g1'")
    with History.open(path) as history:
        with pytest.raises(HistoryUnavailable, match="items 2: the metadata is not JSON; set such rows aside"):
            history.item(2)
        with pytest.raises(HistoryUnavailable, match=r"generations g1: n: field required; set such rows aside"):
            history.generation("g1")


def test_a_forgotten_row_leaves_no_byte_behind_however_damaged_it_is(path: Path) -> None:
    for statements in (
        "UPDATE items SET metadata = 'x', kind = x'00' WHERE id = 9",
        "UPDATE items SET words = 999 WHERE id = 9",
        "UPDATE items SET input = x'ff', words = -3 WHERE id = 9",
    ):
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        fill(path)
        with History.open(path) as history:
            secret = history.add(new_item("the zanzibar secret", given="whisper", user="ann"))
            assert secret.id == 9
        damage(path, statements)
        with History.open(path) as history:
            history.forget("ann", item_id=9)
            assert history.health(full=True).problems == ()
        for file in path.parent.iterdir():
            assert b"zanzibar" not in file.read_bytes(), (statements, file)


@pytest.mark.parametrize("seed", range(24))
def test_random_rows_schemas_and_bit_flips_break_nothing(path: Path, seed: int) -> None:
    hostile(path, seed)


def hostile(path: Path, seed: int) -> str:
    """One hostile database; what was done to it."""
    chance = random.Random(seed)
    fill(path)
    kind = chance.choice(("rows", "schema", "bits"))
    if kind == "bits":
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for file in (f"{path}-wal", f"{path}-shm"):
            Path(file).unlink(missing_ok=True)
        kind = flip_bits(path, chance)
    else:
        with suppress(sqlite3.Error):
            damage(path, random_rows(chance) if kind == "rows" else random_schema(chance))
    use(path)
    return kind


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_five_hundred_hostile_databases_break_nothing(tmp_path: Path) -> None:
    done = Counter(hostile(tmp_path / str(seed) / "history.db", seed) for seed in range(1000, 1500))
    print(dict(done))
    assert done.total() == 500
