"""Imports as wholes: which items and generations each brought, so that one can be listed and taken out again.

An import has a number, and a row for each user it brought something to: rows of a user go with the user.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from edge_ttp.history.rows import from_milliseconds, to_milliseconds
from edge_ttp.history.sieve import Sieve
from edge_ttp.history.user import valid_user
from edge_ttp.schema import utc_now

MAX_NAME = 500
"""Characters kept of what an import read."""


@dataclass
class OpenImport:
    """An import that is going on. It has a number once it has stored something."""

    name: str
    """What it reads: a file, a folder, a repository."""
    number: int | None = None


@dataclass(frozen=True)
class PastImport:
    """What is left of an import in the history of one user."""

    id: int
    user: str
    name: str
    created_at: datetime
    items: int
    generations: int


def next_number(db: sqlite3.Connection) -> int:
    """The number of an import that begins in the caller's write transaction; no number is ever given twice."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'imports'").fetchone()
    return 1 if row is None else int(row[0]) + 1


def note_import(db: sqlite3.Connection, number: int, name: str, users: Iterable[str]) -> None:
    """Writes down that the import brought something to these users."""
    db.executemany(
        "INSERT INTO imports (import, user, created_at, name) SELECT ?1, id, ?2, ?3 FROM users WHERE users.name = ?4 "
        "ON CONFLICT DO NOTHING",
        [(number, to_milliseconds(utc_now()), name[:MAX_NAME], user) for user in sorted(users)],
    )


def select_imports(db: sqlite3.Connection, user_id: str | None, sieve: Sieve) -> list[PastImport]:
    """The imports of this user (all users' if None) of which something is left, newest first."""
    rows = db.execute(
        "SELECT m.import, u.name, m.name, m.created_at, "
        "(SELECT count(*) FROM items i WHERE i.import = m.import AND i.user = m.user), "
        "(SELECT count(*) FROM generations g WHERE g.import = m.import AND g.user = m.user) "
        "FROM imports m JOIN users u ON u.id = m.user WHERE ?1 IS NULL OR u.name = ?1 ORDER BY m.id DESC",
        (user_id,),
    )
    return [one for one in sieve.sift("imports", rows, _import_from) if one.items or one.generations]


def _import_from(row: tuple[Any, ...]) -> PastImport:
    number, user, name, created_at, items, generations = row
    if type(number) is not int or not isinstance(name, str):
        raise ValueError("its number is none, or its name no text")
    return PastImport(number, valid_user(user), name, from_milliseconds(created_at), items, generations)


def drop_empty(db: sqlite3.Connection) -> None:
    """Forgets the names of imports of which nothing is left."""
    db.execute(
        "DELETE FROM imports WHERE NOT EXISTS (SELECT 1 FROM items i WHERE i.import = imports.import "
        "AND i.user = imports.user) AND NOT EXISTS (SELECT 1 FROM generations g WHERE g.import = imports.import "
        "AND g.user = imports.user)"
    )
