"""Pool files for tests: reward models of known kinds, good and broken."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

USERS, QUERIES, SIZE = 45, 12, 16

Row = dict[str, Any]


def good_model(
    *, users: int = USERS, queries: int = QUERIES, size: int = SIZE, rho: float = 0.6, seed: int = 0
) -> list[Row]:
    """Rows of a score that goes with the utility by `rho` for everybody."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        for query in range(queries):
            quality = rng.standard_normal(size)
            score = rho * quality + np.sqrt(1 - rho**2) * rng.standard_normal(size)
            length = rng.integers(5, 60, size)
            rows += [
                {
                    "user_id": f"user {user}",
                    "query_id": query,
                    "utility": 0.2 + 0.05 * float(quality[place]),
                    "score": 0.3 + 0.03 * float(score[place]),
                    "text": f"{user}/{query}/{place} ".ljust(int(length[place]), "x"),
                }
                for place in range(size)
            ]
    return rows


def collapsed_for_a_third(rows: list[Row]) -> list[Row]:
    """The score of every third user is a constant."""
    return [{**row, "score": 0.3} if _number(row) % 3 == 0 else row for row in rows]


def flipped_for_a_fifth(rows: list[Row]) -> list[Row]:
    """The score's sign is turned around on every fifth query."""
    return [{**row, "score": 0.6 - row["score"]} if (_number(row) + row["query_id"]) % 5 == 0 else row for row in rows]


def hacked_by_length(rows: list[Row]) -> list[Row]:
    """The score is the length of the text, with a little of what it was."""
    return [{**row, "score": 0.005 * len(row["text"]) + 0.3 * row["score"]} for row in rows]


def _number(row: Row) -> int:
    return int(row["user_id"].split()[1])


def write(path: Path, rows: Iterable[Row | str]) -> Path:
    """The rows as JSON lines; texts are written as they are."""
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path
