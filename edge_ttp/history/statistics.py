"""What the history holds, counted."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from edge_ttp.history.rows import EARLIEST, LATEST, from_milliseconds
from edge_ttp.history.sieve import printable


@dataclass(frozen=True)
class Stats:
    """Counts for one user, or for all."""

    user_id: str | None
    users: int
    items: int
    kinds: dict[str, int]
    """Items by kind, most frequent first."""
    sources: dict[str, int]
    """Items by source, most frequent first."""
    oldest: datetime | None
    """Time of the oldest item."""
    newest: datetime | None
    mean_input: float
    """Mean length of an input, in characters; 0 without items."""
    mean_output: float
    generations: int
    candidates: int
    feedback: dict[str, int]
    """Judgments by kind, most frequent first."""
    vectors: int


def stats(db: sqlite3.Connection, user_id: str | None) -> Stats:
    """The counts for this user (all 0 for an unknown one), or for all users if None."""
    of_user = "WHERE ?1 IS NULL OR user = (SELECT id FROM users WHERE name = ?1)"

    of_generations = f"SELECT id FROM generations {of_user}"  # noqa: S608

    def by(column: str, table: str) -> dict[str, int]:
        query = f"SELECT {column}, count(*) FROM {table} {of_user} GROUP BY 1 ORDER BY 2 DESC, 1"  # noqa: S608
        counts: Counter[str] = Counter()
        for label, count in db.execute(query, (user_id,)):
            counts[printable(label)] += count  # whatever a damaged row has there
        return dict(counts)

    def one(query: str) -> tuple[int, ...]:
        row: tuple[int, ...] = db.execute(query, (user_id,)).fetchone()
        return row

    whole = f"typeof(created_at) = 'integer' AND created_at BETWEEN {EARLIEST} AND {LATEST}"
    moment = f"CASE WHEN {whole} THEN created_at END"
    count, oldest, newest, mean_input, mean_output = one(
        f"SELECT count(*), min({moment}), max({moment}), avg(length(input)), avg(length(output)) "  # noqa: S608
        f"FROM items {of_user}"
    )
    return Stats(
        user_id=user_id,
        users=one("SELECT count(*) FROM users WHERE ?1 IS NULL OR name = ?1")[0],
        items=count,
        kinds=by("kind", "items"),
        sources=by("source", "items"),
        oldest=None if oldest is None else from_milliseconds(oldest),
        newest=None if newest is None else from_milliseconds(newest),
        mean_input=float(mean_input or 0.0),
        mean_output=float(mean_output or 0.0),
        generations=one(f"SELECT count(*) FROM generations {of_user}")[0],  # noqa: S608
        candidates=one(f"SELECT count(*) FROM candidates WHERE generation IN ({of_generations})")[0],  # noqa: S608
        feedback=by("kind", "feedback"),
        vectors=one(f"SELECT count(*) FROM vectors WHERE item IN (SELECT id FROM items {of_user})")[0],  # noqa: S608
    )
