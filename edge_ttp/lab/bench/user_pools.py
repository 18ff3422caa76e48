"""Pool files of `edge-ttp export pools` as evidence: every pool scored by a reward model, with its user's history then.

A pool's features are computed here, by the runtime's own code, from the texts it was drawn for: so the same pools can
be asked again of every new reward model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.diagnosis.line_source import LineSource
from edge_ttp.reward.model import RewardModel
from edge_ttp.reward.posterior import Evidence
from edge_ttp.reward.user_profile import HISTORY_ITEMS, VectorMemory
from edge_ttp.reward.utility import agreement, tokenize
from edge_ttp.schema import Candidate, HistoryItem

_CURE = "give files made by `edge-ttp export pools`"
_START = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class UserPool:
    """One past item of one user: the candidates' last layer and what each was worth."""

    task: str
    user: str
    place: int
    """The item's place among its user's, from the oldest on."""
    evidence: Evidence
    """Of kind `written`."""


def load(
    files: Sequence[Path], data: Path, reward: RewardModel, advance: Callable[[float], None], *, part: str = "report"
) -> dict[tuple[str, str], list[UserPool]]:
    """(task, user) -> their pools, newest first. `data` is the folder with the texts that the pools were drawn from.

    Pools of users of another `part` of the split are passed over, those that name none are taken.

    `advance` is called with the number of pools done. Raises InvalidInput where a file is no pool file, or its texts
    are not in `data`.
    """
    texts = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in sorted(data.glob("*.jsonl"))}
    users_pools: dict[tuple[str, str], list[UserPool]] = {}
    done = 0
    for file in files:
        lines = _records(file)
        header = next(lines, None)
        if header is None or "data" not in header or "task" not in header:
            raise InvalidInput(f"{file} holds no pools", _CURE)
        source = texts.get(str(header["data"]))
        if source is None:
            raise InvalidInput(f"the texts that {file} was drawn from are not in {data}", "name their folder: --data")
        users = _users(source)
        memory = VectorMemory()
        for record in lines:
            if record.get("part", part) != part:
                continue
            pool = _scored(str(header["task"]), users, record, reward, memory)
            users_pools.setdefault((pool.task, pool.user), []).append(pool)
            done += 1
            advance(done)
    for pools in users_pools.values():
        pools.sort(key=lambda pool: -pool.place)
    return users_pools


def _scored(
    task: str,
    users: Mapping[str, list[HistoryItem]],
    record: Mapping[str, Any],
    reward: RewardModel,
    memory: VectorMemory,
) -> UserPool:
    user, order = str(record["user_id"]), int(record["order"])
    items = users.get(user, [])
    place = next((at for at, item in enumerate(items) if item.metadata["order"] == order), None)
    if place is None:
        raise InvalidInput(f"the texts of {task} hold no item {order} of {user}", _CURE)
    drawn = [
        Candidate(text=str(one["text"]), tokens=int(one["tokens"]), logprob=float(one["logprob"]))
        for one in record["candidates"]
    ]
    profile = reward.profile(items[max(0, place - HISTORY_ITEMS) : place], memory)
    scores = reward.score(profile, items[place].input, drawn)
    utility = agreement([tokenize(one.text) for one in drawn], [tokenize(items[place].output)])[:, 0]
    # What the history keeps has 32 bits; so has this.
    narrow = [np.asarray(values, np.float32).astype(np.float64) for values in (scores.features, scores.aleatoric)]
    return UserPool(task, user, place, Evidence("written", narrow[0], narrow[1], utility))


def _records(file: Path) -> Iterator[dict[str, Any]]:
    for number, line, _ in LineSource.of(str(file)).lines():
        if line is None or not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"{file} line {number} is not JSON", _CURE) from error
        if not isinstance(value, dict):
            raise InvalidInput(f"{file} line {number} is no object", _CURE)
        yield value


def _users(path: Path) -> dict[str, list[HistoryItem]]:
    """Items by user in their order, numbered through the file."""
    users: dict[str, list[HistoryItem]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        row = json.loads(line)
        order = int(row["order"])
        item = HistoryItem(
            id=number,
            user_id=str(row["user_id"]),
            input=str(row["input"]),
            output=str(row["output"]),
            created_at=_START + timedelta(minutes=order),
            metadata={"order": order},
        )
        users.setdefault(item.user_id, []).append(item)
    for items in users.values():
        items.sort(key=lambda item: item.metadata["order"])
    return users
