"""What the numbers say about each claim: the ceiling, the quantities of every variant, how far selection gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp.lab.reproduction.cells import REPORT, Cell, cells, numbered, together
from edge_ttp.lab.reproduction.score_file import ScoreFile
from edge_ttp.scaling import (
    Ceilings,
    Estimate,
    Pools,
    Quantities,
    exponential_fits_better,
    fit_ceilings,
    four_quantities,
    interval,
    oracle_of_n,
    resampled,
)
from edge_ttp.scaling.quantities import ENOUGH_USERS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ALL = "all tasks"


@dataclass(frozen=True)
class Bootstrap:
    """How many resamples intervals come from, and their seed: the same users are drawn for every variant."""

    times: int = 400
    seed: int = 0

    def quantities(self, pools: Pools) -> Quantities:
        """The four quantities of these pools."""
        return four_quantities(pools.evidence(), pools.user, pools.users, resamples=self.times, seed=self.seed)


@dataclass(frozen=True)
class Ceiling:
    """The oracle of one task and policy, over everybody: no training has touched utilities."""

    task: str
    policy: str
    n: Ints
    """1 .. N."""
    gain: Floats
    """(N,) above a random pick."""
    fits: Ceilings
    exponential_better: float
    """Share of resamples of users in which the exponential form fits better."""
    doublings: Floats
    """Gain added by each doubling of n from 1 on."""
    log_r2: float
    """R^2 of a + b ln n over n >= 2."""


@dataclass(frozen=True)
class VariantQuantities:
    """The quantities of one variant on report users."""

    task: str
    policy: str
    variant: str
    queries: int
    quantities: Quantities
    share: Estimate
    """Measured share of the oracle's gain at the largest n."""


def ceilings(file: ScoreFile, bootstrap: Bootstrap) -> list[Ceiling]:
    """The oracle's curve of each set with both forms fitted."""
    curves = []
    for pools in file.sets:
        n = np.arange(1, pools.sizes[-1] + 1)
        gains = oracle_of_n(pools.utility) - pools.utility.mean(axis=1, keepdims=True)
        gain = gains.mean(axis=0)
        user = numbered(pools.user)
        groups = int(user.max()) + 1
        sums, count = by_user(gains, user, groups), np.bincount(user, minlength=groups)
        draws = [times @ sums / (times @ count) for times in resampled(groups, bootstrap.times, bootstrap.seed)]
        doubled = gain[[2**k - 1 for k in range(int(np.log2(len(n))) + 1)]]
        curves.append(
            Ceiling(
                task=pools.task,
                policy=pools.policy,
                n=n,
                gain=gain,
                fits=fit_ceilings(n, gain),
                exponential_better=exponential_fits_better(n, np.array(draws)),
                doublings=np.diff(doubled),
                log_r2=_log_fit(n[1:], gain[1:]),
            )
        )
    return curves


def by_user(values: Floats, user: Ints, groups: int) -> Floats:
    """Sums of rows by user: (queries, k) -> (groups, k)."""
    sums = np.zeros((groups, values.shape[1]))
    np.add.at(sums, user, values)
    return sums


def _log_fit(n: Ints, gain: Floats) -> float:
    slope, start = np.polyfit(np.log(n), gain, 1)
    left = gain - (start + slope * np.log(n))
    return 1 - float(left @ left) / float(np.sum((gain - gain.mean()) ** 2))


def measure(file: ScoreFile, bootstrap: Bootstrap) -> list[VariantQuantities]:
    """The quantities of every variant on report users: for each task, and for all tasks of a policy together."""
    found = cells(file, REPORT)
    rows = [_measured(cell.task, [cell], bootstrap) for cell in found]
    for policy in dict.fromkeys(cell.policy for cell in found):
        for variant in file.made:
            many = [cell for cell in found if (cell.policy, cell.variant) == (policy, variant)]
            if many:
                rows.append(_measured(ALL, many, bootstrap))
    return rows


def _measured(task: str, many: Sequence[Cell], bootstrap: Bootstrap) -> VariantQuantities:
    pools = together([cell.pools for cell in many])
    gains = [np.stack([cell.gain[:, -1], cell.oracle[:, -1]], axis=1) for cell in many]
    return VariantQuantities(
        task=task,
        policy=many[0].policy,
        variant=many[0].variant,
        queries=len(pools),
        quantities=bootstrap.quantities(pools),
        share=share_of(np.concatenate(gains), pools, bootstrap),
    )


def share_of(gains: Floats, pools: Pools, bootstrap: Bootstrap) -> Estimate:
    """Ratio of the columns of `gains`, (queries, 2), every user counting the same, with its interval."""
    sums = by_group(gains, pools)
    value = float(sums[:, 0].sum() / sums[:, 1].sum())
    return interval(ratios(sums, bootstrap), value, len(sums))


def by_group(values: Floats, pools: Pools) -> Floats:
    """Means of rows, (queries, k), over what intervals resample: users, or queries where users are too few.

    Means, so that a task with one user and a hundred queries counts as one user.
    """
    if pools.users < ENOUGH_USERS:
        return values
    counts = np.bincount(pools.user, minlength=pools.users)[:, None]
    return np.asarray(by_user(values, pools.user, pools.users) / np.maximum(counts, 1), dtype=np.float64)


def ratios(sums: Floats, bootstrap: Bootstrap) -> Floats:
    """First over second column of `sums`, (groups, 2), in each resample of groups."""
    drawn = np.array([times @ sums for times in resampled(len(sums), bootstrap.times, bootstrap.seed)])
    return np.asarray(drawn[:, 0] / drawn[:, 1], dtype=np.float64)


@dataclass(frozen=True)
class Curve:
    """Share of the oracle's gain by n, a policy's tasks weighed by their users, report users."""

    policy: str
    variant: str
    sizes: tuple[int, ...]
    share: Floats


def curves(file: ScoreFile) -> list[Curve]:
    """Every variant's curve; over the sizes that all sets of the policy have."""
    found = cells(file, REPORT)
    rows = []
    for policy in dict.fromkeys(cell.policy for cell in found):
        for variant in file.made:
            many = [cell for cell in found if (cell.policy, cell.variant) == (policy, variant)]
            if not many:
                continue
            sizes = tuple(n for n in many[0].sizes if all(n in cell.sizes for cell in many))
            shares = [[cell.share[cell.sizes.index(n)] for n in sizes] for cell in many]
            users = [cell.pools.users for cell in many]
            rows.append(Curve(policy, variant, sizes, np.average(shares, axis=0, weights=users)))
    return rows
