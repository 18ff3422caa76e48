"""The four quantities of a reward model, with bootstrap intervals over users."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan

import numpy as np

from edge_ttp.errors import InvalidInput
from edge_ttp.scaling.collapse import COLLAPSED_BELOW, SENSITIVITY, Users, judge_users
from edge_ttp.scaling.correlation import QueryEvidence
from edge_ttp.scaling.curves import Ints
from edge_ttp.scaling.gauge import Gauge, Rates, estimate_resamples
from edge_ttp.scaling.intervals import UNKNOWN, Estimate, interval, wilson
from edge_ttp.scaling.law import Law
from edge_ttp.scaling.order_statistics import Floats

ENOUGH_USERS = 8
"""Users from which on intervals resample users; below, queries."""

ENOUGH_HACKED = 5
"""Expected hacked queries from which on their correlation is reported."""


@dataclass(frozen=True)
class Quantities:
    """The four quantities, weighted by the queries' spread of utility, and what they were estimated from."""

    c: Estimate
    """Collapse rate."""
    h: Estimate
    """Hacking rate among the other users' queries."""
    rho_plus: Estimate
    """Mean correlation of the aligned queries."""
    rho_minus: Estimate
    """Mean size of the correlation of the hacked ones."""
    net: Estimate
    """Mean correlation of the users who did not collapse: directly, without deconvolution."""
    share: Estimate
    """(1 - c) net: the predicted share of the oracle's gain."""
    sigma: Estimate
    """Mean spread of utility within an informative query, utility units."""
    heads: Rates
    """h, rho_plus, rho_minus with every query counting the same."""
    c_heads: float
    """Share of users who collapsed, each counting the same."""
    naive: Rates
    """What counting measured correlations would say."""
    normal: Rates
    """What a normal distribution of atanh(rho) would say."""
    c_at: dict[float, float]
    """c for other limits of what is collapsed, as parts of the typical spread."""
    inflation: float
    """Pooled jackknife variance of atanh(rho_hat) over 1/(N-3): 1 for Gaussian pairs."""
    users: Users
    rho_grid: Floats
    """Correlations, ascending, and their deconvolved distribution: (points,); empty where it was not estimated."""
    rho_mass: Floats
    p_hacked: Floats
    """Probability that rho < 0 in each query, (queries,); nan where it was not estimated."""
    queries: int
    informative: int
    """Queries whose utilities differ."""
    flat: int
    """Informative queries of users who did not collapse whose scores are all equal."""
    used: int
    """Queries that h and the correlations' sizes come from."""
    over: str
    """What intervals resample: `users` or `queries`."""

    @property
    def law(self) -> Law | None:
        """The law with these values; None where one that it needs is unknown."""
        if not (self.h.known and self.rho_plus.known and self.sigma.known):
            return None
        minus = self.rho_minus.value if self.rho_minus.known else 0.0
        c = self.c.value if self.c.known else 0.0
        return Law(c, self.h.value, self.rho_plus.value, minus, self.sigma.value)


def four_quantities(
    evidence: QueryEvidence,
    user: Ints,
    users: int,
    *,
    resamples: int = 400,
    seed: int = 0,
    unit: Ints | None = None,
) -> Quantities:
    """The four quantities from each query's evidence; `user` is each query's, from 0 to users-1.

    `unit`: what intervals resample, a number for each query, where that is neither users nor single queries (a query
    scored by several seeds is one unit).
    What cannot be estimated is nan. Raises InvalidInput for fewer than 20 resamples.
    """
    if resamples < 20:
        raise InvalidInput(f"{resamples} resamples give no interval", "use at least 20")
    table = judge_users(evidence, user, users)
    rows = np.flatnonzero(evidence.informative)
    informative, present = evidence.take(rows), np.unique(user[rows])
    owner = np.searchsorted(present, user[rows])
    alive = ~table.collapsed[user[rows]]
    # Intervals resample users; if they are few, queries: then they say nothing about other users.
    over_users = len(present) >= ENOUGH_USERS
    group = owner if over_users else np.arange(len(rows))
    if unit is not None:
        group = np.unique(unit[rows], return_inverse=True)[1]
    groups = int(group.max(initial=-1)) + 1
    gauge = Gauge.over(informative, alive)
    value, draws = estimate_resamples(
        informative,
        alive,
        gauge,
        group=group,
        groups=groups,
        times=resamples,
        seed=seed,
    )

    def estimate(name: str, low: float = 0.0, high: float = 1.0) -> Estimate:
        return interval(getattr(draws, name), float(getattr(value, name)[0]), groups, (low, high))

    c, collapse = _collapse(table, informative.weight, owner, present)
    h, rho_plus, rho_minus = estimate("h"), estimate("rho_plus"), estimate("rho_minus")
    p_hacked = np.full(len(user), nan)
    if gauge is not None:
        p_hacked[rows[gauge.rows]] = gauge.fit.p_hacked
        if not gauge.fit.hacked:
            h = Estimate(h.value, 0.0, h.high)
        if h.value * gauge.queries < ENOUGH_HACKED:
            rho_minus = UNKNOWN
    none = Rates(nan, nan, nan)
    return Quantities(
        c=c,
        h=h,
        rho_plus=rho_plus,
        rho_minus=rho_minus,
        net=estimate("net", -1.0),
        share=estimate("share", -1.0),
        sigma=estimate("sigma", high=inf),
        heads=gauge.fit.heads if gauge is not None else none,
        c_heads=float(table.collapsed[present].mean()) if c.known else nan,
        naive=gauge.fit.naive if gauge is not None else none,
        normal=gauge.fit.normal if gauge is not None else none,
        c_at=collapse,
        inflation=gauge.inflation if gauge is not None else nan,
        users=table,
        rho_grid=gauge.fit.rho_grid if gauge is not None else np.empty(0),
        rho_mass=gauge.fit.rho_mass if gauge is not None else np.empty(0),
        p_hacked=p_hacked,
        queries=len(user),
        informative=len(rows),
        flat=int((alive & (informative.score_sd == 0)).sum()),
        used=gauge.queries if gauge is not None else 0,
        over="users" if over_users else "queries",
    )


def _collapse(table: Users, weight: Floats, owner: Ints, present: Ints) -> tuple[Estimate, dict[float, float]]:
    """c, and c by other limits; unknown for fewer than two users. `owner` counts the `present` users from 0."""
    if len(present) < 2:
        return UNKNOWN, dict.fromkeys(SENSITIVITY, nan)
    by_user = np.bincount(owner, weights=weight, minlength=len(present)).astype(np.float64)
    rates = {part: float(by_user[table.collapsed_below(part)[present]].sum() / by_user.sum()) for part in SENSITIVITY}
    return wilson(rates[COLLAPSED_BELOW], by_user), rates
