"""What choosing with a reward model is worth on report users: utility and share of headroom, with intervals."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.reward.model import RewardModel, Source
from edge_ttp_export.examples import Pool, Task
from edge_ttp_export.gates import Z80, score, within_80
from edge_ttp_export.selectors import Rank, oracle, untrained

SIZES = (1, 2, 4, 8, 16, 32)
REPEATS = 4
"""Random smaller pools that each pool is cut to, per size."""
RESAMPLES = 1000
_UNSEEN_AT = 16
"""Size of pool at which choices are measured in chrF, beside the largest."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """What one rule chose in one (cut) pool. The metric is utility or chrF."""

    user_id: str
    chosen: float
    mean: float
    best: float


def evaluate(
    model: RewardModel, pools: Sequence[Pool], tasks: Sequence[Task], policy: str, report: Callable[[str], None]
) -> dict[str, Any]:
    """Rows per task, rule and pool size; paired differences from the untrained sum; calibration; the shuffle test.

    `pools` must be of report users only. Shares are ratios of sums, their intervals central 95% bootstrap intervals
    over users. Task "all" is the mean over tasks. `chrf` are rows whose utility is chrF, which no training sees.
    """
    rules: dict[str, Rank] = {
        **untrained(),
        "model": lambda pool, rows: score(model, pool, rows).mean,
        "oracle": oracle,
    }
    names = sorted({pool.task for pool in pools})
    rows: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    for size in SIZES:
        fitting = [pool for pool in pools if pool.size >= size]
        if not fitting:
            continue
        report(f"pools of {size}")
        by_rule = {rule: _choices(rank, fitting, size) for rule, rank in rules.items()}
        by_rule["random"] = at_random(by_rule["first"])
        for rule, by_task in by_rule.items():
            for task in [*names, "all"]:
                rows.append({"policy": policy, **describe(by_task, task, rule, size)})
        if size > 1:
            for task in [*names, "all"]:
                differences.append({"policy": policy, **paired(by_rule["model"], by_rule["sum"], task, "sum", size)})
    largest = max(one["n"] for one in rows)
    chrf = [
        {"policy": policy, **describe(_choices(rules[rule], fitting, size, metric="chrf"), "all", rule, size)}
        for size in sorted({min(_UNSEEN_AT, largest), largest})
        if (fitting := [pool for pool in pools if pool.size >= size])
        for rule in ("model", "sum", "consensus")
    ]
    return {
        "rows": rows,
        "paired": differences,
        "chrf": chrf,
        "calibration": calibration(model, pools),
        "shuffle": shuffle_test(model, pools, tasks),
    }


def calibration(model: RewardModel, pools: Sequence[Pool]) -> dict[str, Any]:
    """Coverage of the central 80% interval for the difference and for the total utility, overall and per task.

    `noise_gain`: mean log-likelihood per candidate above that of one constant variance fitted to the same errors.
    `quintiles`: mean squared error of the difference in the lowest and the highest fifth by predicted variance.
    """
    found: dict[str, list[Floats]] = {}
    for pool in pools:
        scores = score(model, pool)
        error = (pool.utility - pool.utility.mean()) - (scores.mean - scores.offset)
        total = np.abs(pool.utility - scores.mean) <= Z80 * np.sqrt(scores.variance + scores.offset_variance)
        part = np.stack([error, scores.variance, scores.epistemic, within_80(scores, pool.utility), total])
        found.setdefault(pool.task, []).append(part)
    by_task = {task: np.concatenate(parts, axis=1) for task, parts in found.items()}
    error, variance, epistemic, difference, total = np.concatenate(list(by_task.values()), axis=1)
    constant = float(np.square(error).mean())
    likelihood = -0.5 * (np.square(error) / variance + np.log(variance))
    order = np.argsort(variance)
    fifth = max(1, len(order) // 5)
    return {
        "coverage80": float(difference.mean()),
        "coverage80_total": float(total.mean()),
        "tasks": {task: {"coverage80": float(part[3].mean()), "coverage80_total": float(part[4].mean())}
                  for task, part in by_task.items()},
        "noise_gain": float(likelihood.mean() - -0.5 * (1 + np.log(constant))),
        "quintiles": [float(np.square(error[order[:fifth]]).mean()), float(np.square(error[order[-fifth:]]).mean())],
        "epistemic_share": float((epistemic / variance).mean()),
    }  # fmt: skip


def shuffle_test(model: RewardModel, pools: Sequence[Pool], tasks: Sequence[Task]) -> dict[str, float]:
    """Mean utility of the model's choice with the user's own history, and with another user's of the same task.

    The stranger is drawn among users with at least as many items, and shows as many. `difference` is own minus other,
    `low` to `high` its central 95% bootstrap interval over users.
    """
    source = random.Random(1)
    by_name = {task.name: task for task in tasks}
    own, other, owners = [], [], []
    for pool in pools:
        task = by_name[pool.task]
        strangers = [
            user for user, items in task.users.items() if user != pool.user_id and len(items) >= pool.place
        ] or [user for user in task.users if user != pool.user_id]
        if not strangers:
            continue
        profile = task.profile(pool.user_id, pool.place, shown_as=source.choice(sorted(strangers)))
        scores = model.score(profile, Source(pool.source, pool.source_words), pool.encoded)
        own.append(pool.utility[score(model, pool).mean.argmax()])
        other.append(pool.utility[scores.mean.argmax()])
        owners.append(pool.user_id)
    users, place = np.unique(owners, return_inverse=True)
    counts = np.random.default_rng(1).multinomial(len(users), np.full(len(users), 1 / len(users)), size=RESAMPLES)
    weights = counts[:, place]
    low, high = np.quantile(weights @ (np.array(own) - other) / weights.sum(axis=1), [0.025, 0.975])
    return {"utility_own": float(np.mean(own)), "utility_other": float(np.mean(other)),
            "difference": float(np.mean(own) - np.mean(other)), "low": float(low), "high": float(high),
            "queries": len(own)}  # fmt: skip


def cut(pools: Sequence[Pool], size: int) -> list[tuple[Pool, list[int]]]:
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


def at_random(by_task: Mapping[str, Sequence[Choice]]) -> dict[str, list[Choice]]:
    """What a random pick from the same pools is worth on average."""
    return {
        task: [Choice(one.user_id, one.mean, one.mean, one.best) for one in found] for task, found in by_task.items()
    }


def _choices(rank: Rank, pools: Sequence[Pool], size: int, metric: str = "utility") -> dict[str, list[Choice]]:
    """Choices by task."""
    found: dict[str, list[Choice]] = {}
    for pool, rows in cut(pools, size):
        values = pool.utility if metric == "utility" else pool.chrf
        chosen = rows[int(np.argmax(rank(pool, rows)))]
        part = values[rows]
        choice = Choice(pool.user_id, float(values[chosen]), float(part.mean()), float(part.max()))
        found.setdefault(pool.task, []).append(choice)
    return found


def describe(by_task: Mapping[str, list[Choice]], task: str, rule: str, size: int) -> dict[str, Any]:
    """One row: mean utility of what `rule` chose and its share of the headroom with a central 95% interval.

    Task "all" is the mean over tasks.
    """
    chosen = {task: by_task[task]} if task != "all" else dict(by_task)
    row: dict[str, Any] = {"task": task, "selector": rule, "n": size}
    row["utility"] = float(np.mean([np.mean([one.chosen for one in part]) for part in chosen.values()]))
    if size == 1:
        return {**row, "share": None, "share_low": None, "share_high": None}
    low, high = np.quantile(_resampled(chosen), [0.025, 0.975])
    return {**row, "share": _share(chosen), "share_low": float(low), "share_high": float(high)}


def paired(
    ours: Mapping[str, list[Choice]], theirs: Mapping[str, list[Choice]], task: str, against: str, size: int
) -> dict[str, Any]:
    """Our share minus that of the rule `against`, with its interval over the same resampled users."""
    names = [task] if task != "all" else list(ours)
    one, other = {name: ours[name] for name in names}, {name: theirs[name] for name in names}
    drawn = _resampled(one) - _resampled(other)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"task": task, "against": against, "n": size, "difference": _share(one) - _share(other),
            "low": float(low), "high": float(high), "error": float(drawn.std())}  # fmt: skip


def _share(by_task: Mapping[str, Sequence[Choice]]) -> float:
    """Mean over tasks of (sum chosen - sum mean) / (sum best - sum mean)."""
    shares = []
    for choices in by_task.values():
        headroom = sum(one.best - one.mean for one in choices)
        shares.append(sum(one.chosen - one.mean for one in choices) / headroom if headroom > 0 else 0.0)
    return float(np.mean(shares))


def _resampled(by_task: Mapping[str, Sequence[Choice]]) -> Floats:
    """(RESAMPLES,) shares over users drawn with replacement within each task, the same draws at every call."""
    shares = np.zeros(RESAMPLES)
    for choices in by_task.values():
        users = sorted({one.user_id for one in choices})
        place = {user: index for index, user in enumerate(users)}
        sums = np.zeros((len(users), 2))
        for one in choices:
            sums[place[one.user_id]] += one.chosen - one.mean, one.best - one.mean
        source = np.random.default_rng(1)
        counts = source.multinomial(len(users), np.full(len(users), 1 / len(users)), size=RESAMPLES)
        drawn = counts @ sums
        shares += np.where(drawn[:, 1] > 0, drawn[:, 0] / np.maximum(drawn[:, 1], 1e-12), 0)
    return shares / len(by_task)
