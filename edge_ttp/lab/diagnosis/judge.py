"""From a table of scored candidates to everything that is said about its reward model."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge_ttp.lab.diagnosis.hints import Length, Variance, follow_length, weigh_variance
from edge_ttp.lab.diagnosis.score_table import Table
from edge_ttp.scaling import (
    Ceilings,
    Gains,
    Pools,
    Quantities,
    QueryEvidence,
    Skewness,
    expected_maximum,
    exponential_fits_better,
    fit_ceilings,
    four_quantities,
    gains,
    interval,
    resampled,
    skewed_share,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Status = Literal["works", "undecided", "misled", "collapsed", "unknown"]

WORST = 20
"""Hacked queries that are shown."""

BARS = 40
"""Bars of the histogram of correlations, -1 to 1."""


@dataclass(frozen=True)
class CurvePoint:
    """One n of the curve. Gains over a random pick, utility units; nan where they cannot be estimated."""

    n: int
    measured: float
    low: float
    """Ends of the 90% interval of `measured`."""
    high: float
    predicted: float
    """The law: the queries' correlations and the spacing of their own scores."""
    plain: float
    """The law's plain form: one share x the oracle's measured gain. Holds where scores are as skewed as utilities."""
    corrected: float
    """The plain form corrected for both skewnesses in closed form (`edge_ttp.scaling.skewed_share`)."""
    gaussian: float
    """The law's Gaussian form: one share x sigma m_n."""
    oracle: float
    share: float
    """measured / oracle; nan at n = 1."""


@dataclass(frozen=True)
class UserLine:
    """One user."""

    user: str
    status: Status
    """`works`: the interval of rho is above 0; `misled`: rho is surely (99%) below 0; `undecided`; `collapsed`;
    `unknown`: too few informative queries to judge this user alone."""
    queries: int
    informative: int
    spread: float
    """Median of sd(score) / sd(utility), as part of what is typical of this score."""
    rho: float
    low: float
    high: float


@dataclass(frozen=True)
class Shown:
    """One candidate."""

    line: int
    score: float
    utility: float


@dataclass(frozen=True)
class HackedQuery:
    """A query whose score probably points the wrong way: what it preferred, and what would have been best."""

    user: str
    query: str
    rho: float
    """Measured correlation."""
    p_hacked: float
    """Probability that the true one is below 0."""
    candidates: int
    preferred: Shown
    best: Shown

    @property
    def loss(self) -> float:
        """Utility lost against the best candidate."""
        return self.best.utility - self.preferred.utility


@dataclass(frozen=True)
class Histogram:
    """How correlations within queries are distributed, weighted by spread, over users who did not collapse."""

    edges: Floats
    measured: Floats
    """Share of the measured correlations between each two edges; wider than the truth by their noise."""
    true: Floats
    """Share of the true ones, deconvolved; empty where that was not estimated."""


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was found. What could not be estimated is None or nan."""

    name: str
    candidates: int
    queries: int
    informative: int
    """Queries whose utilities differ."""
    largest_pool: int
    quantities: Quantities | None
    curve: list[CurvePoint]
    left_out: int
    """Informative queries whose pools are smaller than the curve's largest n."""
    ceilings: Ceilings | None
    exponential_better: float
    """Share of the bootstrap resamples in which the exponential form fits the oracle better."""
    users: list[UserLine]
    hacked: list[HackedQuery]
    hacked_count: int
    """Queries more likely hacked than not."""
    length: Length | None
    variance: Variance | None
    histogram: Histogram | None
    skewness: Skewness | None
    rescored: bool
    """Whether the measured curve comes from subsets that were scored anew."""
    constant_scores: list[str]
    """Users whose scores never differ within a query, where utilities are missing."""


@dataclass(frozen=True)
class Picked:
    """What a score that depends on the other candidates picks from smaller pools."""

    n: Ints
    """Sizes, ascending, from 1 to the longest of the curve."""
    utility: Floats
    """(queries, len(n)) mean utility picked; nan where the pool is smaller."""


def judge(table: Table, name: str, *, resamples: int, seed: int, picked: Picked | None = None) -> Diagnosis:
    """The diagnosis of a table: whatever its columns allow.

    `picked` replaces the measured curve where one ranking of the whole pool does not give it.
    """
    rows = len(table.line)
    blank = np.zeros(rows)
    utility = table.utility if table.utility is not None else blank
    score = table.score if table.score is not None else blank
    pools, order = Pools.of(utility, score, table.query, table.query_user)
    evidence = pools.evidence()
    users = len(table.users)
    complete = table.utility is not None and table.score is not None
    quantities = None
    users_few = True
    if complete:
        quantities = four_quantities(evidence, pools.user, users, resamples=resamples, seed=seed)
        users_few = quantities.over == "queries"
    group, groups = (np.arange(len(pools)), len(pools)) if users_few else (pools.user, users)
    skewness = pools.skewness() if complete else None
    curve: list[CurvePoint] = []
    ceilings, better, left_out = None, float("nan"), 0
    if table.utility is not None and evidence.informative.any():
        found = gains(pools, evidence, group, groups)
        if picked is not None:
            found = _measured_as(found, picked, evidence, group, groups)
        draws = _curves(found, groups, resamples, seed)
        curve, left_out = _points(found, draws, quantities, skewness), found.left_out
        if len(found.n) >= 3:
            ceilings = fit_ceilings(found.n, found.oracle.sum(axis=0) / found.queries.sum())
            better = exponential_fits_better(found.n, draws.oracle)
    hacked, count = _hacked(table, pools, order, quantities, evidence) if quantities is not None else ([], 0)
    return Diagnosis(
        name=name,
        candidates=rows,
        queries=len(pools),
        informative=int(evidence.informative.sum()) if table.utility is not None else 0,
        largest_pool=int(pools.size.max(initial=0)),
        quantities=quantities,
        curve=curve,
        left_out=left_out,
        ceilings=ceilings,
        exponential_better=better,
        users=_user_lines(table, pools, quantities) if quantities is not None else [],
        hacked=hacked,
        hacked_count=count,
        length=(
            follow_length(pools, table.length[order], table.length_unit)
            if complete and table.length is not None
            else None
        ),
        variance=(
            weigh_variance(pools, evidence, table.variance[order]) if complete and table.variance is not None else None
        ),
        histogram=_histogram(pools, evidence, quantities) if quantities is not None else None,
        skewness=skewness,
        rescored=picked is not None,
        constant_scores=_constant(table, pools, evidence) if table.utility is None else [],
    )


def _measured_as(whole: Gains, picked: Picked, evidence: QueryEvidence, group: Ints, groups: int) -> Gains:
    """The gains with what was picked from smaller pools, over the queries that the curve is made of."""
    counted = evidence.informative & (evidence.size >= whole.n[-1])
    measured = np.zeros((groups, len(picked.n)))
    np.add.at(measured, group[counted], picked.utility[counted] - evidence.utility_mean[counted, None])
    return whole.measured_as(picked.n, measured)


def marked(curve: list[CurvePoint]) -> list[CurvePoint]:
    """The points that a short table shows: n = 1, 2, 4, 8 ... and the last."""
    return [point for point in curve if point.n & (point.n - 1) == 0 or point.n == curve[-1].n]


@dataclass(frozen=True)
class _Curves:
    """Mean gains in every resample, (resamples, n)."""

    measured: Floats
    oracle: Floats


def _curves(whole: Gains, groups: int, resamples: int, seed: int) -> _Curves:
    measured, oracle = [], []
    for times in resampled(groups, resamples, seed):
        count = float(times @ whole.queries)
        if count > 0:
            measured.append(times @ whole.measured / count)
            oracle.append(times @ whole.oracle / count)
    return _Curves(np.array(measured), np.array(oracle))


def _points(whole: Gains, draws: _Curves, quantities: Quantities | None, skewness: Skewness | None) -> list[CurvePoint]:
    total = whole.queries.sum()
    measured, oracle = whole.measured.sum(axis=0) / total, whole.oracle.sum(axis=0) / total
    predicted = whole.spaced.sum(axis=0) / total
    unknown = np.full(len(whole.n), np.nan)
    plain, corrected, gaussian = unknown, unknown, unknown
    if quantities is not None and quantities.share.known:
        plain = quantities.share.value * oracle
        if skewness is not None and isfinite(skewness.score) and isfinite(skewness.utility):
            shares = skewed_share(
                whole.n,
                quantities.share.value,
                score_skewness=skewness.score,
                utility_skewness=skewness.utility,
            )
            corrected = np.where(whole.n > 1, shares * oracle, 0.0)
        gaussian = quantities.share.value * quantities.sigma.value * expected_maximum(whole.n)
    points = []
    for place, n in enumerate(whole.n):
        band = interval(draws.measured[:, place], float(measured[place]), int((whole.queries > 0).sum()))
        known = quantities is not None
        points.append(
            CurvePoint(
                n=int(n),
                measured=float(measured[place]) if known else float("nan"),
                low=band.low if known else float("nan"),
                high=band.high if known else float("nan"),
                predicted=float(predicted[place]) if known else float("nan"),
                plain=float(plain[place]),
                corrected=float(corrected[place]),
                gaussian=float(gaussian[place]),
                oracle=float(oracle[place]),
                share=float(measured[place] / oracle[place]) if known and n > 1 and oracle[place] > 0 else float("nan"),
            )
        )
    return points


def _user_lines(table: Table, pools: Pools, quantities: Quantities) -> list[UserLine]:
    judged = quantities.users
    queries = np.bincount(pools.user, minlength=len(table.users))
    relative = judged.relative
    lines = []
    for place, user in enumerate(table.users):
        if not judged.enough[place]:
            status: Status = "unknown"
        elif judged.collapsed[place] and len(table.users) > 1:
            status = "collapsed"
        elif judged.low[place] > 0:
            status = "works"
        elif judged.misled[place]:
            status = "misled"
        else:
            status = "undecided"
        lines.append(
            UserLine(
                user=user,
                status=status,
                queries=int(queries[place]),
                informative=int(judged.informative[place]),
                spread=float(relative[place]),
                rho=float(judged.rho[place]),
                low=float(judged.low[place]),
                high=float(judged.high[place]),
            )
        )
    return lines


def _hacked(
    table: Table, pools: Pools, order: Ints, quantities: Quantities, evidence: QueryEvidence
) -> tuple[list[HackedQuery], int]:
    """The hacked queries that cost most, and how many there are in all."""
    p_hacked = quantities.p_hacked
    suspects = np.flatnonzero(np.nan_to_num(p_hacked) > 0.5)
    queries = []
    for query in suspects:
        at = np.arange(pools.start[query], pools.start[query + 1])
        preferred = int(at[np.argmax(pools.score[at])])
        best = int(at[np.argmax(pools.utility[at])])
        queries.append(
            (float(p_hacked[query] * (pools.utility[best] - pools.utility[preferred])), query, preferred, best)
        )
    queries.sort(key=lambda one: (-one[0], one[1]))

    def shown(place: int) -> Shown:
        return Shown(int(table.line[order[place]]), float(pools.score[place]), float(pools.utility[place]))

    worst = [
        HackedQuery(
            user=table.users[pools.user[query]],
            query=table.queries[query],
            rho=float(evidence.rho[query]),
            p_hacked=float(p_hacked[query]),
            candidates=int(pools.size[query]),
            preferred=shown(preferred),
            best=shown(best),
        )
        for _, query, preferred, best in queries[:WORST]
    ]
    return worst, len(suspects)


def _histogram(pools: Pools, evidence: QueryEvidence, quantities: Quantities) -> Histogram | None:
    alive = evidence.informative & ~quantities.users.collapsed[pools.user] & (evidence.size > 3)
    if not alive.any():
        return None
    edges = np.linspace(-1, 1, BARS + 1)
    measured, _ = np.histogram(evidence.rho[alive], edges, weights=evidence.weight[alive])
    true, _ = np.histogram(quantities.rho_grid, edges, weights=quantities.rho_mass)
    return Histogram(edges, measured / measured.sum(), true if len(quantities.rho_grid) else np.empty(0))


def _constant(table: Table, pools: Pools, evidence: QueryEvidence) -> list[str]:
    """Users with queries of several candidates, none of which the score tells apart."""
    several = pools.size > 1
    differing = np.bincount(pools.user, weights=several & (evidence.score_sd > 0), minlength=len(table.users))
    comparable = np.bincount(pools.user, weights=several, minlength=len(table.users))
    return [table.users[place] for place in np.flatnonzero((comparable > 0) & (differing == 0))]
