"""What a rule chose in pools of one size: shares of the headroom and their intervals.

All tasks together are weighed by their users: a task with one user counts as one user, however many queries it has.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from typing import Any, Literal
from zlib import crc32

import numpy as np
import numpy.typing as npt

from edge_ttp_export.examples import LabelledPool

SIZES = (1, 2, 4, 8, 16, 32)
REPEATS = 4
"""Random smaller pools that each pool is cut to, per size."""
RESAMPLES = 1000
FEW_USERS = 8
"""Tasks with fewer report users get their intervals from queries."""

Metric = Literal["utility", "chrf"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RuleChoice:
    """What one rule chose in one (cut) pool. The metric is utility or chrF."""

    user_id: str
    query: int
    """The item's place among its user's."""
    chosen: float
    mean: float
    best: float


def cut(pools: Sequence[LabelledPool], size: int) -> list[tuple[LabelledPool, list[int]]]:
    """Each pool cut to REPEATS random smaller pools of `size`, or whole where it has that size.

    Always the same, so that rules can be compared in pairs. Pools with fewer candidates are left out.
    """
    source = random.Random(size)
    return [
        (pool, source.sample(range(pool.size), size))
        for pool in pools
        if pool.size >= size
        for _ in range(REPEATS if size < pool.size else 1)
    ]


def choose(
    members: Sequence[tuple[LabelledPool, Sequence[int]]],
    by_seed: Sequence[Sequence[Floats]],
    metric: Metric = "utility",
) -> dict[str, list[RuleChoice]]:
    """What is chosen, by task; the seeds' choices one after another, so that their shares are averaged."""
    found: dict[str, list[RuleChoice]] = {}
    for scores in by_seed:
        for (pool, rows), score in zip(members, scores, strict=True):
            values = (pool.utility if metric == "utility" else pool.chrf)[list(rows)]
            chosen = float(values[int(np.argmax(score))])
            found.setdefault(pool.task, []).append(
                RuleChoice(pool.user_id, pool.place, chosen, float(values.mean()), float(values.max()))
            )
    return found


def at_random(by_task: Mapping[str, Sequence[RuleChoice]]) -> dict[str, list[RuleChoice]]:
    """What a random pick from the same pools is worth on average."""
    return {
        task: [RuleChoice(one.user_id, one.query, one.mean, one.mean, one.best) for one in found]
        for task, found in by_task.items()
    }


def describe(by_task: Mapping[str, list[RuleChoice]], task: str, rule: str, size: int) -> dict[str, Any]:
    """One row: mean utility of what `rule` chose and its share of the headroom with a central 95% interval.

    Task "all" weighs the tasks by their users. `over` says what the interval resamples: users, or queries where a task
    has fewer than FEW_USERS, which says nothing about other users.
    """
    chosen = {task: by_task[task]} if task != "all" else dict(by_task)
    users = users_of(chosen)
    row: dict[str, Any] = {"task": task, "selector": rule, "n": size, "users": sum(users.values())}
    row["over"] = "users" if min(users.values()) >= FEW_USERS else "queries" if len(users) == 1 else "both"
    row["utility"] = _weighed(
        {name: float(np.mean([one.chosen for one in part])) for name, part in chosen.items()}, users
    )
    if size == 1:
        return {**row, "share": None, "share_low": None, "share_high": None}
    low, high = np.quantile(resampled_shares(chosen), [0.025, 0.975])
    return {**row, "share": share_of_headroom(chosen), "share_low": float(low), "share_high": float(high)}


def paired(
    ours: Mapping[str, list[RuleChoice]], theirs: Mapping[str, list[RuleChoice]], task: str, against: str, size: int
) -> dict[str, Any]:
    """Our share minus that of the rule `against`, with its interval over the same resampled users."""
    names = [task] if task != "all" else list(ours)
    one, other = {name: ours[name] for name in names}, {name: theirs[name] for name in names}
    drawn = resampled_shares(one) - resampled_shares(other)
    low, high = np.quantile(drawn, [0.025, 0.975])
    difference, error = share_of_headroom(one) - share_of_headroom(other), float(drawn.std())
    p = erfc(abs(difference) / (error * sqrt(2))) if error > 0 else 1.0  # two-sided, normal with the resamples' spread
    return {"task": task, "against": against, "n": size, "difference": difference,
            "low": float(low), "high": float(high), "error": error, "p": p}  # fmt: skip


def corrected(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The comparisons with `p_holm`: p as high as it has to be where so many are made at once (Holm 1979).

    A family is everything that one rule is compared with in one task at one size.
    """
    families: dict[tuple[str, str, int], list[int]] = {}
    for place, row in enumerate(rows):
        families.setdefault((row.get("selector", ""), row["task"], row["n"]), []).append(place)
    found = [dict(row) for row in rows]
    for places in families.values():
        least = 0.0
        for rank, place in enumerate(sorted(places, key=lambda one: found[one]["p"])):
            least = max(least, min(1.0, (len(places) - rank) * found[place]["p"]))
            found[place]["p_holm"] = least
    return found


def share_of_headroom(by_task: Mapping[str, Sequence[RuleChoice]]) -> float:
    """(sum chosen - sum mean) / (sum best - sum mean) of every task, the tasks weighed by their users."""
    shares = {}
    for task, choices in by_task.items():
        headroom = sum(one.best - one.mean for one in choices)
        shares[task] = sum(one.chosen - one.mean for one in choices) / headroom if headroom > 0 else 0.0
    return _weighed(shares, users_of(by_task))


def users_of(by_task: Mapping[str, Sequence[RuleChoice]]) -> dict[str, int]:
    """How many users each task has."""
    return {task: len({one.user_id for one in choices}) for task, choices in by_task.items()}


def _weighed(values: Mapping[str, float], users: Mapping[str, int]) -> float:
    return float(np.average([values[task] for task in users], weights=list(users.values())))


def growth(
    few: Mapping[str, list[RuleChoice]], many: Mapping[str, list[RuleChoice]], task: str, sizes: tuple[int, int]
) -> dict[str, Any]:
    """Mean utility of what is chosen among many candidates minus that among few, with its interval over users."""
    names = [task] if task != "all" else list(many)
    users = users_of({name: many[name] for name in names})
    means = [
        _weighed({name: float(np.mean([one.chosen for one in part[name]])) for name in names}, users)
        for part in (many, few)
    ]
    drawn = np.zeros(RESAMPLES)
    for name in names:
        sums = [_resampled_sums([(one, one.chosen, 1.0) for one in part[name]], name) for part in (many, few)]
        weight = users[name] / sum(users.values())
        drawn += weight * (sums[0][:, 0] / sums[0][:, 1] - sums[1][:, 0] / sums[1][:, 1])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "task": task,
        "from": sizes[0],
        "to": sizes[1],
        "change": float(means[0] - means[1]),
        "low": float(low),
        "high": float(high),
    }


def resampled_shares(by_task: Mapping[str, Sequence[RuleChoice]]) -> Floats:
    """(RESAMPLES,) shares over users drawn with replacement within each task, the same draws at every call.

    Where a task has fewer than FEW_USERS, over its queries: their spread is all that can be told. Every task has draws
    of its own: chance that strikes one must not strike all.
    """
    shares, users = np.zeros(RESAMPLES), users_of(by_task)
    for task, choices in by_task.items():
        drawn = _resampled_sums([(one, one.chosen - one.mean, one.best - one.mean) for one in choices], task)
        share = np.where(drawn[:, 1] > 0, drawn[:, 0] / np.maximum(drawn[:, 1], 1e-12), 0)
        shares += users[task] / sum(users.values()) * share
    return shares


def _resampled_sums(values: Sequence[tuple[RuleChoice, float, float]], task: str) -> Floats:
    """(RESAMPLES, 2) sums of both numbers over the units drawn: users, or queries where users are few."""
    few = len({one.user_id for one, _, _ in values}) < FEW_USERS
    units = sorted({(one.user_id, one.query if few else 0) for one, _, _ in values})
    place = {unit: index for index, unit in enumerate(units)}
    sums = np.zeros((len(units), 2))
    for one, first, second in values:
        sums[place[one.user_id, one.query if few else 0]] += first, second
    counts = np.random.default_rng([1, crc32(task.encode())]).multinomial(
        len(units), np.full(len(units), 1 / len(units)), size=RESAMPLES
    )
    return np.asarray(counts @ sums)
