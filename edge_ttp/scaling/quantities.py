"""The four quantities of a reward model, with bootstrap intervals over users."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan

import numpy as np

from edge_ttp.errors import InvalidInput
from edge_ttp.scaling.collapse import COLLAPSED_BELOW, SENSITIVITY, Users, judge_users
from edge_ttp.scaling.correlation import Evidence
from edge_ttp.scaling.curves import Ints
from edge_ttp.scaling.gauge import Gauge, Rates, estimate_resamples, net_correlation
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


def four_quantities(evidence: Evidence, user: Ints, users: int, *, resamples: int = 400, seed: int = 0) -> Quantities:
    """The four quantities from each query's evidence; `user` is each query's, from 0 to users-1.

    What cannot be estimated is nan. Raises InvalidInput for fewer than 20 resamples.
    """
    if resamples < 20:
        raise InvalidInput(f"{resamples} resamples give no interval", "use at least 20")
    table = judge_users(evidence, user, users)
    informative = evidence.informative
    alive = informative & ~table.collapsed[user]
    present = np.unique(user[informative])
    # Intervals resample users; if they are few, queries: then they say nothing about other users.
    over_users = len(present) >= ENOUGH_USERS
    gauge = Gauge.over(evidence, alive)
    draws = estimate_resamples(
        evidence,
        alive,
        gauge,
        group=user if over_users else np.arange(len(user)),
        groups=users if over_users else len(user),
        times=resamples,
        seed=seed,
    )
    weight = evidence.weight
    spoken_for = float(weight[informative].sum())
    several = len(present) > 1
    collapse = {
        part: float(weight[informative & table.collapsed_below(part)[user]].sum()) / spoken_for if several else nan
        for part in SENSITIVITY
    }
    c = UNKNOWN
    if several:
        by_user = np.bincount(user[informative], weights=weight[informative], minlength=users)[present]
        c = wilson(collapse[COLLAPSED_BELOW], by_user.astype(np.float64))
    spoken = len(present) if over_users else int(informative.sum())

    def around(values: Floats, value: float, low: float = 0.0, high: float = 1.0) -> Estimate:
        return interval(values, value, spoken, (low, high))

    net = around(draws.net, net_correlation(evidence, alive)(np.ones(len(user))), -1.0)
    p_hacked = np.full(len(user), nan)
    h, rho_plus, rho_minus = UNKNOWN, UNKNOWN, UNKNOWN
    heads = naive = normal = Rates(nan, nan, nan)
    if gauge is not None:
        fit = gauge.fit
        heads, naive, normal = fit.heads, fit.naive, fit.normal
        h = around(draws.h, fit.value.h)
        if not fit.hacked:
            h = Estimate(h.value, 0.0, h.high)
        rho_plus = around(draws.rho_plus, fit.value.rho_plus)
        if fit.value.h * gauge.queries >= ENOUGH_HACKED:
            rho_minus = around(draws.rho_minus, fit.value.rho_minus)
        p_hacked[gauge.rows] = fit.p_hacked
    return Quantities(
        c=c,
        h=h,
        rho_plus=rho_plus,
        rho_minus=rho_minus,
        net=net,
        share=around(draws.share, net.value * (1 - (c.value if several else 0.0)), -1.0),
        sigma=around(
            draws.sigma, float(evidence.utility_sd[informative].mean()) if informative.any() else nan, high=inf
        ),
        heads=heads,
        c_heads=float(table.collapsed[present].mean()) if several else nan,
        naive=naive,
        normal=normal,
        c_at=collapse,
        inflation=gauge.inflation if gauge is not None else nan,
        users=table,
        rho_grid=gauge.fit.rho_grid if gauge is not None else np.empty(0),
        rho_mass=gauge.fit.rho_mass if gauge is not None else np.empty(0),
        p_hacked=p_hacked,
        queries=len(user),
        informative=int(informative.sum()),
        flat=int((alive & (evidence.score_sd == 0)).sum()),
        used=gauge.queries if gauge is not None else 0,
        over="users" if over_users else "queries",
    )
