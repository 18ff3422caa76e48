"""Two suspects beyond the four quantities: a score that follows length, and a variance that is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp.scaling import Pools, QueryEvidence, correlate, gains
from edge_ttp.scaling.quantities import ENOUGH_USERS

Floats = npt.NDArray[np.float64]

KAPPAS = (-0.5, 0.0, 0.5, 1.0)
"""Standard deviations taken off the score, to see what the variance is worth in selection."""


@dataclass(frozen=True)
class Length:
    """How score and utility go with a candidate's length, within queries."""

    unit: str
    """`characters` or `tokens`."""
    score: float
    """Mean correlation of score and length."""
    utility: float
    """Mean correlation of utility and length."""
    rho: float
    """Mean correlation of utility and score."""
    rho_without: float
    """The same with length taken out of both (partial correlation of the means)."""

    @property
    def followed(self) -> bool:
        """Whether the score follows length far more than the utility does."""
        return abs(self.score) >= 0.5 and abs(self.score - self.utility) >= 0.3


@dataclass(frozen=True)
class Variance:
    """What the learned variance says and is worth. Differences within a query, so that its difficulty cancels."""

    slope: float
    """Utility gained per unit of score: 1 if the score is on the utility's scale."""
    ratio: float
    """Mean squared error of the scaled score over the mean variance: 1 if the variance is calibrated."""
    rank: float
    """Spearman's correlation of the variance and the squared error over all candidates."""
    trust: float
    """Mean over queries of sqrt(var score / (var score + mean variance)): the correlation the model expects."""
    shares: dict[float, float]
    """Share of the oracle's gain at the largest n, ranked by score - kappa x standard deviation, for each kappa."""
    errors: dict[float, float]
    """Standard error (over users, or queries where users are few) of each share's difference from that of kappa = 0."""


def follow_length(pools: Pools, length: Floats, unit: str) -> Length | None:
    """How far the score follows `length`, (candidates,); None where lengths or scores hardly ever differ."""
    rho = _mean_rho(pools, pools.utility, pools.score)
    of_score = _mean_rho(pools, pools.score, length)
    of_utility = _mean_rho(pools, pools.utility, length)
    if not np.isfinite([rho, of_score, of_utility]).all():
        return None
    below = (1 - of_score**2) * (1 - of_utility**2)
    without = (rho - of_score * of_utility) / np.sqrt(below) if below > 0 else float("nan")
    return Length(unit, of_score, of_utility, rho, float(np.clip(without, -1, 1)))


def _mean_rho(pools: Pools, first: Floats, second: Floats) -> float:
    """Mean correlation over the queries with three candidates or more where both differ; nan if there are none."""
    total, count = 0.0, 0
    for _, at in pools.blocks():
        if at.shape[1] < 3:
            continue
        found = correlate(first[at], second[at])
        usable = (found.weight > 0) & (found.score_sd > 0)
        total += float(found.rho[usable].sum())
        count += int(usable.sum())
    return total / count if count else float("nan")


def weigh_variance(pools: Pools, evidence: QueryEvidence, variance: Floats) -> Variance | None:
    """What `variance`, (candidates,), says; None where it is 0 everywhere or no pool has a score that differs."""
    squares, products, count = 0.0, 0.0, 0
    utility, score = np.zeros_like(variance), np.zeros_like(variance)
    trust = []
    for _, at in pools.blocks():
        if at.shape[1] < 2:
            continue
        u = pools.utility[at] - pools.utility[at].mean(axis=1, keepdims=True)
        s = pools.score[at] - pools.score[at].mean(axis=1, keepdims=True)
        widen = np.sqrt(
            at.shape[1] / (at.shape[1] - 1)
        )  # so that squares are unbiased though the mean is the pool's own
        utility[at], score[at] = u * widen, s * widen
        squares += float((s * s).sum())
        products += float((u * s).sum())
        count += at.size
        spread, noise = s.var(axis=1, ddof=1), variance[at].mean(axis=1)
        trust.append(np.sqrt(np.divide(spread, spread + noise, out=np.zeros_like(spread), where=spread + noise > 0)))
    mean = float(variance.sum()) / max(len(variance), 1)
    if count == 0 or squares <= 0 or mean <= 0:
        return None
    slope = products / squares
    error = (utility - slope * score) ** 2
    reached = {kappa: _gains(pools.rescored(pools.score - kappa * np.sqrt(variance)), evidence) for kappa in KAPPAS}
    oracle = float(reached[0.0][1].sum())
    return Variance(
        slope=slope,
        ratio=float(error.mean()) / mean,
        rank=_rank_correlation(variance, error),
        trust=float(np.concatenate(trust).mean()),
        shares={
            kappa: float(gained.sum()) / oracle if oracle > 0 else float("nan")
            for kappa, (gained, _) in reached.items()
        },
        errors={
            kappa: _error(gained - reached[0.0][0]) / oracle if oracle > 0 else float("nan")
            for kappa, (gained, _) in reached.items()
        },
    )


def _gains(pools: Pools, evidence: QueryEvidence) -> tuple[Floats, Floats]:
    """Gain and oracle's gain at the largest n of the curve, summed by user, or by query where users are few."""
    few = pools.users < ENOUGH_USERS
    found = gains(pools, evidence, *((np.arange(len(pools)), len(pools)) if few else (pools.user, pools.users)))
    return found.measured[:, -1], found.oracle[:, -1]


def _error(sums: Floats) -> float:
    """Standard error of the sum of these independent sums; infinite for a single one."""
    return float(np.sqrt(len(sums)) * np.std(sums, ddof=1)) if len(sums) > 1 else float("inf")


def _rank_correlation(first: Floats, second: Floats) -> float:
    found = correlate(_ranks(first)[None], _ranks(second)[None])
    return float(found.rho[0])


def _ranks(values: Floats) -> Floats:
    """Ranks, tied ones averaged."""
    unique, where, count = np.unique(values, return_inverse=True, return_counts=True)
    del unique
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[where], dtype=np.float64)
