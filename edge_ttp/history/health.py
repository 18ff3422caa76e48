"""Whether the database is sound, private and as large as expected."""

from __future__ import annotations

import os
import sqlite3
import stat
from dataclasses import dataclass
from pathlib import Path

from edge_ttp.history.connection import Connections
from edge_ttp.history.driver import error_types
from edge_ttp.history.faults import primary_code

_TABLES = (
    "users",
    "items",
    "generations",
    "candidates",
    "feedback",
    "layers",
    "calibrations",
    "evidence",
    "posteriors",
    "vectors",
    "settings",
)


@dataclass(frozen=True)
class Health:
    """The state of one history file."""

    path: Path
    sound: bool
    problems: tuple[str, ...]
    """What the checks found; empty if sound."""
    full_check: bool
    """Whether every index was compared with its table, or only the structure was read."""
    journal_mode: str
    read_only: bool
    encrypted: bool
    """Whether it is encrypted at rest (SQLCipher)."""
    sqlite_version: str
    bytes: int
    """Size of the database file."""
    wal_bytes: int
    """Size of the write-ahead log beside it."""
    free_bytes: int
    """Bytes in unused pages, within `bytes`."""
    counts: dict[str, int]
    """Rows by table; empty if the tables cannot be read."""
    modes: dict[str, str]
    """Permissions of the files and their folder, such as `0600`. Empty where they mean nothing (Windows)."""
    private: bool
    """No right for group or others on any of the files."""


def health(connections: Connections, *, full: bool) -> Health:
    """The state now. full: also compares every index with its table (reads the whole file, writes nothing lasting)."""
    path = connections.path
    problems: list[str] = []
    counts: dict[str, int] = {}
    with connections.connection() as db:
        try:
            problems += _structure(db, full)
            counts = {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _TABLES}  # noqa: S608
            if full:
                problems += _index(connections)
        except error_types() as error:
            if primary_code(error) not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise
            problems.append(str(error))
        journal_mode = db.execute("PRAGMA journal_mode").fetchone()[0]
        page, free = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "freelist_count"))
        modes = _modes(path)
        return Health(
            path=path,
            sound=not problems,
            problems=tuple(problems),
            full_check=full,
            journal_mode=journal_mode,
            read_only=connections.read_only,
            encrypted=connections.encrypted,
            sqlite_version=sqlite3.sqlite_version,
            bytes=path.stat().st_size,
            wal_bytes=_size(Path(f"{path}-wal")),
            free_bytes=page * free,
            counts=counts,
            modes=modes,
            private=not any(int(mode, 8) & 0o077 for name, mode in modes.items() if name != path.parent.name),
        )


def _structure(db: sqlite3.Connection, full: bool) -> list[str]:
    check = "integrity_check" if full else "quick_check"
    found = [row[0] for row in db.execute(f"PRAGMA {check}(20)") if row[0] != "ok"]
    orphans = db.execute("SELECT count(*) FROM pragma_foreign_key_check").fetchone()[0]
    return found + ([f"{orphans} rows without an owner"] if orphans else [])


def _index(connections: Connections) -> list[str]:
    """What is wrong with the full-text index and the counts kept beside it."""
    if connections.read_only:
        return []  # FTS5 takes its check as an INSERT
    with connections.writing() as db:
        try:
            db.execute("INSERT INTO item_index (item_index) VALUES ('integrity-check')")
        except error_types() as error:
            if primary_code(error) != sqlite3.SQLITE_CORRUPT:
                raise
            return ["the full-text index does not match its own content"]
        unlike = db.execute(
            "SELECT count(*) FROM users WHERE (items, words) IS NOT "
            "(SELECT count(*), coalesce(sum(i.words), 0) FROM items i WHERE i.user = users.id)"
        ).fetchone()[0]
        absent = "SELECT count(*) FROM items WHERE id * 4096 + words NOT IN (SELECT rowid FROM item_index)"
        unindexed = db.execute(absent).fetchone()[0]
    return ([f"the counts of {unlike} users are wrong"] if unlike else []) + (
        [f"{unindexed} items are not in the index"] if unindexed else []
    )


def _modes(path: Path) -> dict[str, str]:
    if os.name != "posix":
        return {}
    files = (path.parent, path, Path(f"{path}-wal"), Path(f"{path}-shm"))
    return {file.name: f"{stat.S_IMODE(file.stat().st_mode):04o}" for file in files if file.exists()}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
