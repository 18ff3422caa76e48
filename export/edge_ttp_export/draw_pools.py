"""Pools: for one query of one user, N candidates of a policy with their labels. The reward model's training data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.elsewhere.persistence import Persistence
from edge_ttp_export.places.in_order import Here, TaskPlace
from edge_ttp_export.pool_drawer import DrawerMaker, DrawTask, PolicyElsewhere, PolicyFile, Recipe, styled
from edge_ttp_export.pool_shards import append_pools, checked_pools
from edge_ttp_export.text_files import Item, file_sha256, read_items, task_of
from edge_ttp_export.text_recall import Recall
from edge_ttp_export.user_split import PARTS, Part, part_of

MIN_HISTORY = 4
"""Fewest earlier items a query's user must have."""

# Of every 20 queries in a row: how many come from users of each part.
_SHARE = {"train": 11, "tune": 4, "report": 5}


@dataclass(frozen=True)
class Who:
    """Which users queries come from."""

    part: Part | None = None
    """Only users of this part. None: of all, in fixed shares."""
    min_items: int = 0
    """Only users with at least so many items."""
    min_history: int = MIN_HISTORY
    """Fewest earlier items a query's user must have."""

    def takes(self, user: str, items: Sequence[Item]) -> bool:
        """Whether queries may come from this user."""
        return len(items) >= self.min_items and self.part in (None, part_of(user))


@dataclass(frozen=True)
class PoolQuery:
    """One item to be written again by the policy, and everything its user wrote before it."""

    item: Item
    history: tuple[Item, ...]


def choose_queries(users: dict[str, list[Item]], count: int, min_history: int = MIN_HISTORY) -> list[PoolQuery]:
    """The first `count` queries of a fixed order, so that a larger count only adds to a smaller one.

    Parts are mixed in fixed shares; within a part the users take turns, each with the newest item first. Wherever one
    part has no query left, the others go on.
    """
    lines = {
        part: _turns({user: items for user, items in users.items() if part_of(user) == part}, min_history)
        for part in PARTS
    }
    chosen: list[PoolQuery] = []
    while len(chosen) < count:
        block = [query for part in PARTS for _, query in zip(range(_SHARE[part]), lines[part], strict=False)]
        if not block:
            break
        chosen.extend(block)
    return chosen[:count]


def _turns(users: dict[str, list[Item]], min_history: int) -> Iterator[PoolQuery]:
    """Queries of these users in turns: everybody's newest item, then everybody's newest but one ..."""
    names = sorted(users, key=lambda name: (len(name), name[::-1]))  # any order that does not depend on the file's
    columns = [list(range(len(users[name]) - 1, min_history - 1, -1)) for name in names]
    for places in zip_longest(*columns):
        for name, place in zip(names, places, strict=True):
            if place is not None:
                yield PoolQuery(users[name][place], tuple(users[name][:place]))


def make_pools(
    data: Path,
    model: Path | str | None,
    out: Path,
    recipe: Recipe,
    *,
    queries: int,
    threads: int,
    report: Callable[[int, int, float], None],
    who: Who = Who(),
    policy_url: str | None = None,
    place: TaskPlace | None = None,
    patience: Persistence | None = None,
) -> int:
    """Draws pools for the first `queries` queries of `data` and appends them to `out`; returns how many are in it now.

    `who` narrows the users that queries come from. Pools that `out` holds already are kept: an interrupted run goes on
    where it stopped, and the file is the same in the end. `out` is a file (.jsonl.zst), or a folder (.parquet).
    `policy_url`: an engine elsewhere draws; `model` then is one that it serves, None its first one, its own way to be
    asked decides on the style, and `patience` says how long it is asked again. `place`: where the drawing is done, this
    process by default, `threads` for each worker; pools are the same wherever. `report` gets pools done, pools wanted
    and the seconds left. Raises InvalidInput where `out` was made from other data or another recipe.
    """
    users = {user: items for user, items in read_items(data).items() if who.takes(user, items)}
    wanted = choose_queries(users, queries, who.min_history)
    if not wanted:
        raise InvalidInput(f"no user in {data} has enough items", "give longer histories, or ask for fewer items")
    checked_pools(out)  # continued where they are there; never the history or a model
    policy = _policy(model, policy_url, patience)
    recipe = styled(recipe, policy)
    header = {"task": task_of(data), "data": file_sha256(data), **policy.in_header, **recipe.as_dict()}
    with append_pools(out, header) as file, Recall.over(users) as recall:
        todo = [query for query in wanted if _key(query) not in file.keys]
        tasks = (_task(query, recall, recipe.examples) for query in todo)
        started, done = time.monotonic(), len(wanted) - len(todo)
        records = (place or Here()).run(DrawerMaker(policy, recipe, threads), tasks)
        with closing(records):  # type: ignore[type-var]  # a generator, wherever it comes from
            for index, record in enumerate(records, 1):
                file.write(record)
                spent = time.monotonic() - started
                report(done + index, len(wanted), spent / index * (len(todo) - index))
        return len(file.keys)


def _policy(
    model: Path | str | None, policy_url: str | None, patience: Persistence | None
) -> PolicyFile | PolicyElsewhere:
    if policy_url is not None:
        return PolicyElsewhere.asked(policy_url, None if model is None else str(model), patience)
    if not isinstance(model, Path):
        raise InvalidInput("no policy is named", "give a model")
    return PolicyFile(model.resolve(), file_sha256(model))


def _task(query: PoolQuery, recall: Recall, examples: int) -> DrawTask:
    shown = tuple((one.input, one.output) for one in recall.examples(query.item, examples))
    return DrawTask(query.item, shown, tuple(one.output for one in query.history[-64:]))


def _key(query: PoolQuery) -> tuple[str, int]:
    return query.item.user_id, query.item.order
