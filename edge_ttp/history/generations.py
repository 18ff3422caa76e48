"""Rows of generations with all their candidates, and how long they are kept."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from functools import partial
from typing import Any

from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.history.items import user_number
from edge_ttp.history.rows import (
    CANDIDATE_COLUMNS,
    GENERATION_COLUMNS,
    candidate_row,
    check_candidates,
    generation_from,
    generation_row,
    parsed,
    to_milliseconds,
)
from edge_ttp.history.sieve import UNREADABLE, Sieve, only
from edge_ttp.history.user import valid_user
from edge_ttp.schema import Generation, utc_now
from edge_ttp.system.settings import MAX_RETENTION_DAYS

_DAY = 86_400_000
_RETENTION = "retention_days"

_SELECT = f"SELECT g.id, users.name, {', '.join(f'g.{name}' for name in GENERATION_COLUMNS.split(', '))} " + (
    "FROM generations g JOIN users ON users.id = g.user"
)


def insert_generation(db: sqlite3.Connection, generation: Generation, usual_days: int | None = None) -> None:
    """Stores the generation whole, and drops those that the user's retention no longer allows.

    `usual_days`: the retention of users who have none of their own. InvalidInput if its id is taken, or if `chosen`
    and `n` do not fit its candidates.
    """
    check_candidates(generation)
    if db.execute("SELECT 1 FROM generations WHERE id = ?", (generation.generation_id,)).fetchone():
        raise InvalidInput(f"generation {generation.generation_id} is recorded already", "give each its own id")
    user = user_number(db, valid_user(generation.user))
    values = generation_row(generation, user)
    db.execute(
        f"INSERT INTO generations ({GENERATION_COLUMNS}, user) VALUES ({_marks(len(values))})",  # noqa: S608
        values,
    )
    rows = [candidate_row(each, generation.generation_id, at) for at, each in enumerate(generation.candidates)]
    db.executemany(
        f"INSERT INTO candidates ({CANDIDATE_COLUMNS}, generation, position) VALUES ({_marks(len(rows[0]))})",  # noqa: S608
        rows,
    )
    drop_expired(db, user, usual_days)


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def generation(db: sqlite3.Connection, generation_id: str, user_id: str | None) -> Generation:
    """The generation with all its candidates. NotFound if there is none, or if it is not this user's."""
    row = db.execute(
        f"{_SELECT} WHERE g.id = ?1 AND (?2 IS NULL OR users.name = ?2)", (generation_id, user_id)
    ).fetchone()
    if row is None:
        raise NotFound(
            f"there is no generation {generation_id!r}", "see the generation_id that `edge-ttp generate` printed"
        )
    return only("generations", row, partial(_whole, db))


def _whole(db: sqlite3.Connection, row: tuple[Any, ...]) -> Generation:
    _, user, *values = row
    query = f"SELECT position, {CANDIDATE_COLUMNS} FROM candidates WHERE generation = ? ORDER BY position"  # noqa: S608
    return generation_from(tuple(values), user, db.execute(query, (values[0],)).fetchall())


def select_generations(db: sqlite3.Connection, user_id: str, limit: int | None, sieve: Sieve) -> list[Generation]:
    """The user's newest generations, newest first."""
    query = f"{_SELECT} WHERE users.name = ? ORDER BY g.created_at DESC, g.rowid DESC LIMIT ?"
    rows = db.execute(query, (user_id, -1 if limit is None else max(0, limit))).fetchall()
    return list(sieve.sift("generations", rows, partial(_whole, db)))


def iterate_generations(db: sqlite3.Connection, user_id: str | None, sieve: Sieve) -> Iterator[Generation]:
    """All generations of the user, or of all users if None, oldest first."""
    query = f"{_SELECT} WHERE ?1 IS NULL OR users.name = ?1 ORDER BY g.created_at, g.rowid"
    return sieve.sift("generations", db.execute(query, (user_id,)), partial(_whole, db))


def retention(db: sqlite3.Connection, user_id: str, usual_days: int | None = None) -> int | None:
    """Days the user's generations are kept, `usual_days` where they have said nothing; None without limit."""
    query = (
        "SELECT value FROM settings JOIN users ON users.id = settings.user WHERE users.name = ? AND settings.name = ?"
    )
    row = db.execute(query, (user_id, _RETENTION)).fetchone()
    return usual_days if row is None else only("settings", (_RETENTION, row[0]), lambda row: checked_days(row[1]))


def checked_days(text: Any) -> int | None:
    """The days of a stored retention, None for ever. ValueError where it is none."""
    days = parsed(_RETENTION, text)
    if days is None:
        return None
    if type(days) is not int or days < 1:
        raise ValueError("no number of days")
    return min(days, MAX_RETENTION_DAYS)


def set_retention(db: sqlite3.Connection, user_id: str, days: int | None) -> int:
    """Sets the days (None: without limit) and returns how many generations that dropped."""
    user = user_number(db, user_id)
    db.execute(
        "INSERT OR REPLACE INTO settings (user, name, value) VALUES (?, ?, ?)", (user, _RETENTION, json.dumps(days))
    )
    return drop_expired(db, user)


def drop_expired(db: sqlite3.Connection, user: int, usual_days: int | None = None) -> int:
    """Deletes the user's generations past retention, with candidates and feedback. Returns how many. Items stay."""
    row = db.execute("SELECT value FROM settings WHERE user = ? AND name = ?", (user, _RETENTION)).fetchone()
    try:
        days = usual_days if row is None else checked_days(row[0])
    except UNREADABLE:
        return 0  # asking for the retention says that it is damaged; nothing is deleted on its word
    if days is None:
        return 0
    oldest = to_milliseconds(utc_now()) - days * _DAY
    return db.execute("DELETE FROM generations WHERE user = ? AND created_at < ?", (user, oldest)).rowcount
