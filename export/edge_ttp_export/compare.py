"""The comparison: untrained rules, the losses on one network, and the rules on the probabilistic one, report users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edge_ttp.scaling.pools import Pools
from edge_ttp.scaling.quantities import ENOUGH_USERS, four_quantities
from edge_ttp_export.checkpoint import Checkpoint
from edge_ttp_export.examples import LabelledPool
from edge_ttp_export.rule_choices import SIZES, RuleChoice, at_random, choose, corrected, cut, describe, growth, paired
from edge_ttp_export.selectors import oracle, untrained
from edge_ttp_export.train import Member
from edge_ttp_export.trained_rules import PROBABILISTIC, RULES, Fixed, Floats, Judged, judge

GROWTH_FROM = 4
"""Candidates from which the change up to the largest pool is told: more must not make choices worse."""

Judge = Callable[[Checkpoint, Sequence[Member]], Sequence[Judged]]
"""What a network says of members, one for each."""

Scores = Mapping[str, Sequence[Sequence[Floats]]]
"""Scores of the members by selector, once per seed."""


def compare(
    pools: Sequence[LabelledPool],
    by_loss: Mapping[str, Sequence[Checkpoint]],
    strangers: Mapping[str, Checkpoint],
    rules: Mapping[str, Fixed],
    labels: Mapping[str, Any],
    *,
    judge: Judge = judge,
) -> dict[str, list[dict[str, Any]]]:
    """Rows, paired differences, the four quantities and the growth with N on one policy's report pools.

    Networks of one loss are its seeds. `strangers` are networks that never saw a task, by the task's name; they are
    measured on that task alone. `rules` come from `trained_rules.fix_rules`. `labels` go into every row.
    `judge` says what a network says of members: known already, where it was found out elsewhere.
    """
    rows: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    diagnosis: list[dict[str, Any]] = []
    chosen_of: dict[int, dict[str, list[RuleChoice]]] = {}
    tasks = sorted({pool.task for pool in pools})
    for size in SIZES:
        members = cut(pools, size)
        if not members:
            continue
        scores = _scores(members, by_loss, rules, judge)
        choices = {name: choose(members, each) for name, each in scores.items()}
        choices["random"] = at_random(choices["first"])
        chosen_of[size] = choices["probabilistic"]
        for name, by_task in choices.items():
            rows += [{**labels, **describe(by_task, task, name, size)} for task in [*tasks, "all"]]
        if size > 1:
            for other, by_task in choices.items():
                if other not in ("probabilistic", "oracle", "random", "first", "longest"):
                    for task in [*tasks, "all"]:
                        one = paired(choices["probabilistic"], by_task, task, other, size)
                        differences.append({**labels, **one, "selector": "probabilistic"})
        for task, checkpoint in strangers.items():
            own = [member for member in members if member[0].task == task]
            if own:
                never = choose(own, [[one.mean for one in judge(checkpoint, own)]])
                rows.append({**labels, **describe(never, task, "task left out", size)})
                if size > 1:
                    one = paired(never, {task: choices["sum"][task]}, task, "sum", size)
                    differences.append({**labels, **one, "selector": "task left out"})
        if size == max(pool.size for pool in pools):
            diagnosis = [{**labels, **_quantities(members, name, each)} for name, each in scores.items()
                         if name not in ("oracle", "first", "longest")]  # fmt: skip
    few, many = GROWTH_FROM, max(chosen_of)
    grown = (
        []
        if few not in chosen_of
        else [
            {**labels, "selector": "probabilistic", **growth(chosen_of[few], chosen_of[many], task, (few, many))}
            for task in [*tasks, "all"]
        ]
    )
    return {"rows": rows, "paired": corrected(differences), "diagnosis": diagnosis, "growth": grown}


def _scores(
    members: Sequence[Member],
    by_loss: Mapping[str, Sequence[Checkpoint]],
    rules: Mapping[str, Fixed],
    judge: Judge,
) -> Scores:
    found: dict[str, list[list[Floats]]] = {
        name: [[rank(pool, rows) for pool, rows in members]] for name, rank in {**untrained(), "oracle": oracle}.items()
    }
    for loss, checkpoints in by_loss.items():
        judged = [judge(one, members) for one in checkpoints]
        if loss == PROBABILISTIC:
            for name in (*RULES, "probabilistic"):
                found[name] = [[rules[name](one) for one in each] for each in judged]
        else:
            found[loss] = [[one.mean for one in each] for each in judged]
    return found


def _quantities(members: Sequence[Member], variant: str, by_seed: Sequence[Sequence[Floats]]) -> dict[str, Any]:
    """The four quantities of one selector on whole pools, all seeds together.

    A seed's pools count as further queries of the same users, and intervals resample users (below ENOUGH_USERS,
    queries) with all their seeds: averaging the ends of each seed's interval would be no interval of anything.
    """
    users = {name: place for place, name in enumerate(sorted({f"{pool.task} {pool.user_id}" for pool, _ in members}))}
    owner = np.array([users[f"{pool.task} {pool.user_id}"] for pool, _ in members], dtype=np.int64)
    seeds = len(by_seed)
    query = np.repeat(np.arange(seeds * len(members)), [len(rows) for _ in by_seed for _, rows in members])
    utility = np.concatenate([pool.utility[list(rows)] for _ in by_seed for pool, rows in members])
    scores = np.concatenate([score for of_seed in by_seed for score in of_seed])
    table, _ = Pools.of(utility, scores, query, np.tile(owner, seeds))
    unit = owner if len(users) >= ENOUGH_USERS else np.arange(len(members))
    one = four_quantities(table.evidence(), table.user, len(users), resamples=200, unit=np.tile(unit, seeds))
    return {"variant": variant, "seeds": seeds} | {
        name: {"value": _known(part.value), "low": _known(part.low), "high": _known(part.high)}
        for name, part in (("c", one.c), ("h", one.h), ("rho_plus", one.rho_plus), ("rho_minus", one.rho_minus))
    }


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
