"""What the tests of damaged files have in common."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from edge_ttp.history import History


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
