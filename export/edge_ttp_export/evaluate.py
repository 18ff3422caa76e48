"""What choosing with a reward model is worth on report users: utility and share of headroom, with intervals."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.answer.select import Pool, select
from edge_ttp.reward.model import RewardModel, Scores
from edge_ttp.schema import DEFAULT_RULE
from edge_ttp_export.examples import LabelledPool, TaskFile
from edge_ttp_export.export_gates import Z80, score, within_80
from edge_ttp_export.rule_choices import (
    RESAMPLES,
    SIZES,
    Metric,
    RuleChoice,
    at_random,
    choose,
    corrected,
    cut,
    describe,
    paired,
)
from edge_ttp_export.selectors import Rank, oracle, untrained

_UNSEEN_AT = 16
"""Size of pool at which choices are measured in chrF, beside the largest."""

RIVALS = ("sum", "consensus", "model, mean")
"""What the model is compared with, the comparisons corrected for their number."""
COLD_ITEMS = (0, 1, 2, 3)
"""Known items of a user who has just begun."""

Floats = npt.NDArray[np.float64]


def evaluate(
    model: RewardModel,
    pools: Sequence[LabelledPool],
    tasks: Sequence[TaskFile],
    policy: str,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Rows per task, rule and pool size; paired differences from the untrained sum; calibration; the shuffle test.

    `pools` must be of report users only. Shares are ratios of sums, their intervals central 95% bootstrap intervals
    over users, over queries where a task has fewer than FEW_USERS. Task "all" weighs tasks by their users. "model"
    chooses as `generate` does by default. `chrf` are rows whose utility is chrF, which no training sees; `cold` are
    rows of users of whom 0 to 3 items are known.
    """
    rules: dict[str, Rank] = {
        **untrained(),
        "model": lambda pool, rows: by_default_rule(score(model, pool, rows)),
        "model, mean": lambda pool, rows: score(model, pool, rows).mean,
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
                differences += [
                    {
                        "policy": policy,
                        "selector": "model",
                        **paired(by_rule["model"], by_rule[rival], task, rival, size),
                    }
                    for rival in RIVALS
                ]
    largest = max(one["n"] for one in rows)
    chrf = [
        {"policy": policy, **describe(_choices(rules[rule], fitting, size, metric="chrf"), "all", rule, size)}
        for size in sorted({min(_UNSEEN_AT, largest), largest})
        if (fitting := [pool for pool in pools if pool.size >= size])
        for rule in ("model", "sum", "consensus")
    ]
    return {
        "rows": rows,
        "paired": corrected(differences),
        "cold": cold_start(model, pools, tasks, policy),
        "chrf": chrf,
        "calibration": calibration(model, pools),
        "shuffle": shuffle_test(model, pools, tasks),
    }


def by_default_rule(scores: Scores) -> Floats:
    """(n,) scores by a request's default rule: the lower bound, or consensus where the model is at a loss."""
    count = len(scores.mean)
    pool = Pool(
        logprob=np.zeros(count),
        tokens=np.ones(count, dtype=np.int64),
        complete=np.ones(count, dtype=np.bool_),
        mean=scores.mean,
        epistemic=scores.epistemic,
        similarity=scores.similarity,
    )
    return select(pool, DEFAULT_RULE if scores.familiar else "consensus").scores


def cold_start(
    model: RewardModel, pools: Sequence[LabelledPool], tasks: Sequence[TaskFile], policy: str
) -> list[dict[str, Any]]:
    """Rows of the default rule where only the user's first 0 to 3 items are known, on whole pools.

    Known to the model, that is: the candidates were drawn with the examples that the pools' recipe names.
    """
    size = max(pool.size for pool in pools)
    members = cut(pools, size)
    found = []
    for items in COLD_ITEMS:
        scores = []
        for pool, rows in members:
            profile = _task(tasks, pool).profile(pool.user_id, min(items, pool.place))
            scores.append(by_default_rule(model.score(profile, pool.source, pool.encoded.take(rows))))
        by_task = choose(members, [scores])
        for task in [*sorted(by_task), "all"]:
            found.append({"policy": policy, "items": items, **describe(by_task, task, "model", size)})
    return found


def _task(tasks: Sequence[TaskFile], pool: LabelledPool) -> TaskFile:
    """The texts of the pool's user: a task may have several files."""
    return next(task for task in tasks if task.name == pool.task and pool.user_id in task.users)


def calibration(model: RewardModel, pools: Sequence[LabelledPool]) -> dict[str, Any]:
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


def shuffle_test(model: RewardModel, pools: Sequence[LabelledPool], tasks: Sequence[TaskFile]) -> dict[str, float]:
    """Mean utility of the model's choice with the user's own history, and with another user's of the same task.

    The stranger is drawn among users with at least as many items, and shows as many. `difference` is own minus other,
    `low` to `high` its central 95% bootstrap interval over users.
    """
    source = random.Random(1)
    own, other, owners = [], [], []
    for pool in pools:
        task = _task(tasks, pool)
        strangers = [
            user for user, items in task.users.items() if user != pool.user_id and len(items) >= pool.place
        ] or [user for user in task.users if user != pool.user_id]
        if not strangers:
            continue
        profile = task.profile(pool.user_id, pool.place, shown_as=source.choice(sorted(strangers)))
        scores = model.score(profile, pool.source, pool.encoded)
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


def _choices(
    rank: Rank, pools: Sequence[LabelledPool], size: int, metric: Metric = "utility"
) -> dict[str, list[RuleChoice]]:
    """What `rank` chooses in the pools cut to `size`, by task."""
    members = cut(pools, size)
    return choose(members, [[rank(pool, rows) for pool, rows in members]], metric)
