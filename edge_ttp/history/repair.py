"""Examining a history row by row, and making a damaged one sound: what can be read goes into a new file.

Nobody else may have the history open while it is repaired. The new file takes the old one's place in one transaction
where SQLite can still write to the old one, else by renaming; killed at any moment, the one or the other is there.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edge_ttp.errors import EdgeTTPError, HistoryUnavailable, NotFound
from edge_ttp.history import driver
from edge_ttp.history.backup import checked_backup, refuse_loss
from edge_ttp.history.faults import HistoryBlocked, locked, primary_code, translated
from edge_ttp.history.kept import keep_aside, keep_damaged
from edge_ttp.history.place import provide
from edge_ttp.history.renewal import Advance, make_new, open_file, put_new
from edge_ttp.history.salvage import SetAside
from edge_ttp.history.sieve import DamagedRow
from edge_ttp.history.store import History
from edge_ttp.history.work_files import work_file, working


@dataclass(frozen=True)
class Examined:
    """What an examination found."""

    path: Path
    problems: tuple[str, ...]
    """What is wrong with the file as a whole."""
    damaged: tuple[DamagedRow, ...]
    """Rows that cannot be used."""
    counts: dict[str, int]
    """Rows by table; empty where the file does not open."""

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.problems and not self.damaged


@dataclass(frozen=True)
class Repaired:
    """What became of a repair."""

    counts: dict[str, int]
    """Rows by table that were kept."""
    damaged: tuple[DamagedRow, ...]
    """Rows that were set aside."""
    aside: Path | None
    """The file that they stand in, None where there are none."""
    kept: Path | None
    """The damaged file under its new name, None where everything in it was accounted for."""


def examine(path: Path) -> Examined:
    """Reads every row of the history at `path`. Whatever is wrong with it is a finding.

    NotFound where there is none, HistoryBlocked where a full disk or another process keeps it from being read.
    """
    try:
        history = History.open(path, create=False)
    except (NotFound, HistoryBlocked):
        raise
    except EdgeTTPError as error:
        return Examined(path, (str(error),), (), {})
    with history:
        problems: list[str] = []
        counts: dict[str, int] = {}
        try:
            health = history.health(full=True)
            problems, counts = list(health.problems), health.counts
            damaged = _read_all(history) if history.read_only else _try_all(path)
        except HistoryBlocked:
            raise
        except HistoryUnavailable as error:
            return Examined(path, (*problems, str(error)), history.damaged, counts)
        return Examined(path, tuple(problems), damaged, counts)


def _read_all(history: History) -> tuple[DamagedRow, ...]:
    """The damaged rows that reading everything meets."""
    for _ in history.records(None, everything=True):
        pass
    history.imports()
    return history.damaged


def _try_all(path: Path) -> tuple[DamagedRow, ...]:
    """The rows that a repair would set aside: a copy is repaired."""
    key = None if driver.is_plain(path) else driver.key_of(path)
    lost: list[SetAside] = []
    with working(path), translated(path), closing(open_file(path, key)) as live:
        make_new(path, path, key, aside=lost.append, advance=lambda done: None, live=live)
    return tuple(row.damaged for row in lost)


def repair(path: Path, advance: Advance = lambda done: None) -> Repaired:
    """Makes the history at `path` sound; rows that cannot be kept are set aside in a file beside it.

    NotFound where there is none; HistoryUnavailable where another program has it open, or nothing of it can be read:
    it stays as it is then.
    """
    if not path.exists():
        raise NotFound(f"there is no history at {path} yet", "add something first: edge-ttp history add")
    provide(path, create=False)
    key = None if driver.is_plain(path) else driver.key_of(path)
    lost: list[SetAside] = []
    with working(path), translated(path), _alone(path, key) as live:
        counts = make_new(path, path, key, aside=lost.append, advance=advance, live=live)
        missing = any(not row.values for row in lost)
        aside = keep_aside(path, lost)
        kept = _put_in_place(path, key, live, missing)
    return Repaired(counts, tuple(row.damaged for row in lost), aside, kept)


def replace_damaged(path: Path, backup: Path, *, salvage: bool, advance: Advance = lambda done: None) -> Repaired:
    """Puts the backup in the place of a history that does not open any more; that one is kept under another name.

    Raises as `restore_file` (history/backup.py).
    """
    key = checked_backup(path, None if driver.is_plain(backup) else driver.key_of(path), backup)
    lost: list[SetAside] = []
    with working(path), translated(backup):
        counts = make_new(backup, path, key, aside=lost.append, advance=advance)
        refuse_loss(backup, lost, salvage)
        aside = keep_aside(path, lost)
        kept = keep_damaged(path)
        os.replace(work_file(path, "new"), path)
    return Repaired(counts, tuple(row.damaged for row in lost), aside, kept)


def _put_in_place(path: Path, key: str | None, live: sqlite3.Connection | None, missing: bool) -> Path | None:
    """Puts the new file in the place of the damaged one; returns where that is kept, if something in it is missing."""
    if live is not None and not missing:
        with suppress(*driver.error_types()):
            put_new(path, key, live)
            return None
    if live is not None:
        with suppress(*driver.error_types()):
            live.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            live.close()  # before the new file has the name: closing deletes the log of that name
    kept = keep_damaged(path)
    os.replace(work_file(path, "new"), path)
    return kept


@contextmanager
def _alone(path: Path, key: str | None) -> Iterator[sqlite3.Connection | None]:
    """The history for one connection alone; None where SQLite cannot open it. HistoryUnavailable where it is in use."""
    live = open_file(path, key)
    try:
        opened: sqlite3.Connection | None = live
        try:
            live.execute("PRAGMA writable_schema = ON")
            live.execute("PRAGMA locking_mode = EXCLUSIVE")
            live.execute("PRAGMA secure_delete = ON")
            live.execute("BEGIN EXCLUSIVE")  # fails where any other connection is open
            live.execute("COMMIT")
        except driver.error_types() as error:
            if primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise locked(path) from error
            live.close()
            opened = None
        yield opened
    finally:
        with suppress(*driver.error_types()):
            live.close()
