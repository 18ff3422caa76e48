"""Queries of real tasks for measuring answers: what users of a corpus wrote, asked again with what came before.

A corpus is a folder of JSONL files, one a task, with user_id, input, output and order in every line (order counts a
user's own items, oldest first). Users are split once by their ids (`part_of`): whatever is chosen is chosen on tune
users, whatever is reported comes from report users.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.scored_pools import part_of
from edge_ttp.schema import HistoryItem

MIN_HISTORY = 4
"""Fewest earlier items that a query's user has."""

_START = datetime(2000, 1, 1, tzinfo=UTC)
_CURE = "each line needs user_id, input, output and order"


@dataclass(frozen=True)
class Query:
    """One item to be written again, and everything that its user wrote before it."""

    task: str
    item: HistoryItem
    place: int
    """The item's place in its user's order."""
    history: tuple[HistoryItem, ...]
    """Oldest first."""

    @property
    def key(self) -> tuple[str, str, int]:
        """What tells it from every other query."""
        return self.task, self.item.user_id, self.place


def queries(
    folder: Path, tasks: Sequence[str], *, tenths: Sequence[int], count: int, min_history: int = MIN_HISTORY
) -> list[Query]:
    """At most `count` queries of each task by users in these tenths, the tasks taking turns.

    A larger count only adds to a smaller one. Within a task users take turns, each with the newest item first. Raises
    InvalidInput for a task that the folder lacks, and for a line that is no item.
    """
    lines = [list(_of_task(folder, task, tenths, count, min_history)) for task in tasks]
    return [query for turn in zip_longest(*lines) for query in turn if query is not None]


def tasks_in(folder: Path) -> list[str]:
    """The tasks of a corpus, by name. Raises InvalidInput where there are none."""
    found = sorted(path.stem for path in folder.glob("*.jsonl"))
    if not found:
        raise InvalidInput(f"{folder} holds no *.jsonl files", _CURE)
    return found


def task_file(folder: Path, task: str) -> Path:
    """Where the texts of a task are. Raises InvalidInput where the folder has no such task."""
    path = folder / f"{task}.jsonl"
    if not path.is_file():
        raise InvalidInput(f"{folder} holds no task {task!r}", f"choose from {', '.join(tasks_in(folder))}")
    return path


def tasks_of(keys: Iterable[tuple[str, str, int]]) -> list[str]:
    """The tasks of these queries, by name."""
    return sorted({task for task, _, _ in keys})


def read_users(path: Path, *, tenths: Sequence[int]) -> dict[str, list[HistoryItem]]:
    """Items by user, oldest first, of users in these tenths; ids are unique within the file.

    Raises InvalidInput for a file that cannot be read and for a line that is no item.
    """
    users: dict[str, list[tuple[int, HistoryItem]]] = {}
    for number, row in _rows(path):
        try:
            user, order = str(row["user_id"]), int(row["order"])
            if part_of(user) not in tenths:
                continue
            item = HistoryItem(
                id=number,
                user_id=user,
                input=str(row["input"]),
                output=str(row["output"]),
                created_at=_START + timedelta(minutes=order),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"{path} line {number} is no item: {type(error).__name__} {error}", _CURE) from error
        users.setdefault(user, []).append((order, item))
    return {user: [item for _, item in sorted(found, key=lambda one: one[0])] for user, found in users.items()}


def seed_of(query: Query, salt: str = "") -> int:
    """A seed of its own for every query, so that no two draw from the same random stream."""
    return int.from_bytes(hashlib.sha256(f"{salt} {query.key}".encode()).digest()[:6], "big")


def _of_task(folder: Path, task: str, tenths: Sequence[int], count: int, min_history: int) -> Iterator[Query]:
    users = read_users(task_file(folder, task), tenths=tenths)
    # Any order that does not depend on the file's: users who stand together in it may be alike.
    names = sorted(users, key=lambda name: hashlib.sha256(f"turn {name}".encode()).digest())
    columns = [range(len(users[name]) - 1, min_history - 1, -1) for name in names]
    turns = ((name, place) for row in zip_longest(*columns) for name, place in zip(names, row, strict=True))
    taken = 0
    for name, place in turns:
        if taken == count:
            return
        if place is None or not users[name][place].output.strip() or not users[name][place].input.strip():
            continue
        taken += 1
        yield Query(task, users[name][place], place, tuple(users[name][:place]))


def _rows(path: Path) -> Iterable[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, json.loads(line)
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}", _CURE) from error
