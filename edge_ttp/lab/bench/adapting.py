"""What self-calibration is worth: share of headroom on each user's latest items, after more and more earlier ones.

Every arm sees the same pools, drawn and scored with the same history in view; only the posterior differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge_ttp.lab.bench.user_pools import UserPool
from edge_ttp.reward.posterior import Evidence, Floats, Weights, fit_user
from edge_ttp.scaling.correlation import correlate, gather
from edge_ttp.scaling.quantities import four_quantities

COUNTS = (0, 2, 4, 8, 20)
"""Self-calibrated items."""

LONG = 40
"""The same for users with a long history, who are tested on fewer of their items."""

FEWEST_TESTED = 4

ALL = "all"
"""Users of all tasks together, but those of DESCRIPTIVE tasks."""

DESCRIPTIVE = frozenset({"wine_review"})
"""Tasks with too few report users for an interval."""

_RESAMPLES = 2000

Users = Mapping[tuple[str, str], Sequence[UserPool]]


@dataclass(frozen=True)
class Tested:
    """One user's pools in two parts, newest first."""

    task: str
    user: str
    latest: tuple[Evidence, ...]
    """What is chosen from."""
    earlier: tuple[Evidence, ...]
    """What is learned from."""


@dataclass(frozen=True)
class AdaptedShare:
    """Share of headroom after `items` self-calibrated items, beside the stock model on the same users and pools.

    Intervals are central 95% bootstrap intervals over users.
    """

    task: str
    items: int
    users: int
    queries: int
    share: float
    low: float
    high: float
    stock: float
    gain: float
    gain_low: float
    gain_high: float
    trust: float
    """Mean share of the users' own weights."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class UserSums:
    """Sums over one user's latest pools: utility above the pool's mean of what was chosen, and of the best."""

    task: str
    chosen: float
    stock: float
    best: float
    queries: int
    trust: float


def split(users: Users, learned: int = COUNTS[-1]) -> list[Tested]:
    """Each user's newest pools for testing, the earlier ones to learn from.

    Of enough pools, all that `learned` to learn from leave are for testing; else a third, at least 2 and at most 8.
    """
    found = []
    for (task, user), pools in sorted(users.items()):
        enough = len(pools) >= learned + FEWEST_TESTED
        tested = len(pools) - learned if enough else min(8, max(2, len(pools) // 3))
        if len(pools) <= tested:
            continue
        evidence = [pool.evidence for pool in pools]
        found.append(Tested(task, user, tuple(evidence[:tested]), tuple(evidence[tested:])))
    return found


def curve(stock: Weights, users: Sequence[Tested], counts: Sequence[int] = COUNTS) -> list[AdaptedShare]:
    """Rows per number of items, for all users and per task; users with fewer earlier items are left out of a row."""
    rows = []
    for count in counts:
        outcomes = [
            outcome(stock, one, fit_user(stock, one.earlier[:count])) for one in users if len(one.earlier) >= count
        ]
        rows += _rows(outcomes, count)
    return rows


def others(stock: Weights, users: Sequence[Tested], count: int) -> list[AdaptedShare]:
    """The rows with somebody else's posterior: the next user's of the same task, from as many items."""
    able = [one for one in users if len(one.earlier) >= count]
    outcomes = []
    for one in able:
        same = [other for other in able if other.task == one.task]
        stranger = same[(same.index(one) + 1) % len(same)]
        if stranger is not one:
            outcomes.append(outcome(stock, one, fit_user(stock, stranger.earlier[:count])))
    return _rows(outcomes, count)


def carry_over(stock: Weights, users: Users) -> list[dict[str, Any]]:
    """How much of what one pool says of the weights another pool of the same user says too, by task.

    What a pool says is the gradient of its likelihood at the stock weights, in units of the stock covariance's root.
    `same`: mean inner product for two pools of one user, relative to a pool's own mean square, with a 95% bootstrap
    interval over users; `other`: for pools of two users. Where `same` is no larger than `other`, users do not differ in
    what the last layer can express, and nothing can be learned of one of them.
    """
    root = np.linalg.cholesky(stock.covariance + 1e-12 * np.eye(len(stock.mean)))
    by_task: dict[str, list[Floats]] = {}
    for (task, _), pools in sorted(users.items()):
        by_task.setdefault(task, []).append(np.stack([_gradient(stock, pool.evidence) @ root for pool in pools]))
    rng = np.random.default_rng(1)
    rows = []
    for task, each in by_task.items():
        own = np.array([float(np.square(one.sum(axis=0)).sum() - np.square(one).sum()) for one in each])
        pairs = np.array([len(one) * (len(one) - 1) for one in each])
        total, size = np.sum([one.sum(axis=0) for one in each], axis=0), sum(len(one) for one in each)
        norm = float(sum(np.square(one).sum() for one in each)) / size
        between = float(np.square(total).sum()) - sum(float(np.square(one.sum(axis=0)).sum()) for one in each)
        others = size**2 - sum(len(one) ** 2 for one in each)
        if not pairs.sum() or not others:
            continue
        drawn = rng.integers(0, len(each), (_RESAMPLES, len(each)))
        ratios = own[drawn].sum(axis=1) / np.maximum(pairs[drawn].sum(axis=1), 1) / norm
        low, high = np.quantile(ratios, (0.025, 0.975))
        rows.append(
            {
                "task": task,
                "users": len(each),
                "pairs": int(pairs.sum()) // 2,
                "same": float(own.sum() / pairs.sum() / norm),
                "low": float(low),
                "high": float(high),
                "other": between / others / norm,
            }
        )
    return rows


def _gradient(stock: Weights, pool: Evidence) -> Floats:
    """(D,) of the mean log-likelihood of a labelled pool's candidates, at the stock weights."""
    assert pool.utility is not None
    missed = pool.utility - pool.utility.mean() - pool.features @ stock.mean
    return np.asarray((missed / pool.noise) @ pool.features / len(pool.noise))


def outcome(stock: Weights, tested: Tested, posterior: Any) -> UserSums:
    """What choosing by the posterior's mean gives on the user's latest pools, and what the stock model's gives."""
    chosen, by_stock, best = (
        sum(gain_of(pool, weights) for pool in tested.latest) for weights in (posterior.weights.mean, stock.mean, None)
    )
    return UserSums(tested.task, chosen, by_stock, best, len(tested.latest), posterior.trust)


def gain_of(pool: Evidence, weights: Floats | None) -> float:
    """Utility above the pool's mean of the candidate with the largest score; of the best one for None."""
    assert pool.utility is not None
    at = int(np.argmax(pool.utility if weights is None else pool.features @ weights))
    return float(pool.utility[at] - pool.utility.mean())


def _rows(outcomes: Sequence[UserSums], count: int) -> list[AdaptedShare]:
    groups: dict[str, list[UserSums]] = {ALL: [one for one in outcomes if one.task not in DESCRIPTIVE]}
    for one in outcomes:
        groups.setdefault(one.task, []).append(one)
    return [_row(task, count, group) for task, group in groups.items() if group]


def _row(task: str, count: int, group: Sequence[UserSums]) -> AdaptedShare:
    sums = np.array([[one.chosen, one.stock, one.best] for one in group])
    rng = np.random.default_rng(len(group))
    drawn = rng.integers(0, len(group), (_RESAMPLES, len(group)))
    chosen, stock, best = sums[drawn].sum(axis=1).T
    share, before = chosen / best, stock / best
    low, high = np.quantile(share, (0.025, 0.975))
    gain_low, gain_high = np.quantile(share - before, (0.025, 0.975))
    total = sums.sum(axis=0)
    return AdaptedShare(
        task=task,
        items=count,
        users=len(group),
        queries=sum(one.queries for one in group),
        share=float(total[0] / total[2]),
        low=float(low),
        high=float(high),
        stock=float(total[1] / total[2]),
        gain=float((total[0] - total[1]) / total[2]),
        gain_low=float(gain_low),
        gain_high=float(gain_high),
        trust=float(np.mean([one.trust for one in group])),
    )


def failures(stock: Weights, users: Sequence[Tested], count: int) -> dict[str, Any]:
    """Shares of users who are collapsed and of queries that are hacked on the latest items, before and after.

    By `edge_ttp.scaling.four_quantities`, each head counting the same, and the plain share of queries whose measured
    correlation is negative.
    """
    able = [one for one in users if len(one.earlier) >= count]
    rows: dict[str, Any] = {"items": count, "users": len(able)}
    adapted = [fit_user(stock, one.earlier[:count]).weights.mean for one in able]
    for name, by_user in (("stock", [stock.mean] * len(able)), ("adapted", adapted)):
        parts = []
        owner: list[int] = []
        for number, (one, weights) in enumerate(zip(able, by_user, strict=True)):
            for pool in one.latest:
                assert pool.utility is not None
                place = np.array([len(owner)], dtype=np.int64)
                parts.append((place, correlate(pool.utility[None], (pool.features @ weights)[None])))
                owner.append(number)
        told = gather(parts, len(owner))
        quantities = four_quantities(told, np.array(owner, dtype=np.int64), len(able), resamples=100)
        rho = told.rho[told.informative]
        rows[name] = {
            "collapsed": quantities.c_heads,
            "hacked": quantities.heads.h,
            "negative": float((rho < 0).mean()),
            "mean_rho": float(rho.mean()),
        }
    return rows
