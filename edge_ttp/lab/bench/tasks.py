"""Prompts of real tasks for the benchmarks: queries with their users' earlier items, from a corpus or the samples."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_ttp.errors import InvalidInput
from edge_ttp.schema import HistoryItem

_SPACING = timedelta(hours=1)
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Task:
    """One query and the history its user had before it."""

    name: str
    user: str
    prompt: str
    history: tuple[HistoryItem, ...]


def chosen_tasks(folder: Path | None, count: int) -> list[Task]:
    """`count` tasks from the corpora in `folder`, without one from the sample histories. Raises InvalidInput."""
    if folder is None:
        return sample_tasks(count)
    if not folder.is_dir():
        raise InvalidInput(f"there is no folder {folder}", "point --data to a folder of JSONL files")
    return corpus_tasks(folder, count)


def sample_tasks(count: int) -> list[Task]:
    """`count` tasks from the two sample histories: each user's last items are asked with the earlier ones in view."""
    from edge_ttp.samples import SAMPLE_USERS, sample_items

    tasks = []
    for back in range(1, -(-count // len(SAMPLE_USERS)) + 1):
        for user in SAMPLE_USERS:
            items = sample_items(user)
            history = [_item(user, one["input"], one["output"], place) for place, one in enumerate(items[:-back])]
            tasks.append(Task(f"sample/{user}/-{back}", user, items[-back]["input"], tuple(history)))
    return tasks[:count]


def corpus_tasks(folder: Path, count: int) -> list[Task]:
    """`count` tasks spread over the *.jsonl files of `folder`: the last item of users who have at least 6.

    Each line has user_id, input, output, order. Raises InvalidInput where there are no such files or users.
    """
    files = sorted(folder.glob("*.jsonl"))
    tasks = [_tasks_of(file, -(-count // len(files))) for file in files]
    mixed = [task for group in zip(*tasks, strict=False) for task in group]
    if len(mixed) < count:
        raise InvalidInput(
            f"{folder} has fewer than {count} usable queries",
            "point --data to a folder of user_id/input/output JSONL files",
        )
    return mixed[:count]


def _tasks_of(file: Path, count: int) -> list[Task]:
    by_user: dict[str, list[tuple[int, str, str]]] = {}
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            by_user.setdefault(row["user_id"], []).append((row["order"], row["input"], row["output"]))
    tasks = []
    for user, rows in sorted(by_user.items()):
        if len(rows) < 6:
            continue
        rows.sort()
        history = [_item(user, given, written, order) for order, given, written in rows[:-1]]
        tasks.append(Task(f"{file.stem}/{user}", user, rows[-1][1], tuple(history)))
        if len(tasks) == count:
            break
    return tasks


def _item(user: str, given: str, written: str, order: int) -> HistoryItem:
    return HistoryItem(user_id=user, input=given, output=written, created_at=_EPOCH + order * _SPACING)
