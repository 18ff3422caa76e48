"""From weights of queries to estimates of h and the correlations: for all queries, and for resamples of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np

from edge_ttp.scaling.collapse import Booleans
from edge_ttp.scaling.correlation import QueryEvidence
from edge_ttp.scaling.curves import Ints
from edge_ttp.scaling.deconvolution import Deconvolution, Moments, naive_moments, normal_moments
from edge_ttp.scaling.intervals import resampled
from edge_ttp.scaling.order_statistics import Floats

SMALLEST_POOL = 8
"""Candidates a pool needs to take part in the estimate of h and the correlations' sizes."""

ENOUGH_POOLS = 30
"""Such pools from which on that estimate is made."""

_INFLATION = (0.5, 2.5)
"""Limits of the pooled jackknife variance over 1/(N-3)."""

_LIKELIHOOD_RATIO = 2.71
"""Twice the log likelihood that h > 0 must gain over h = 0 before the interval leaves 0 (5% point, one-sided)."""


@dataclass(frozen=True)
class Rates:
    """One way to estimate the quantities among the users who did not collapse."""

    h: float
    rho_plus: float
    rho_minus: float


@dataclass(frozen=True)
class Fit:
    """The deconvolved estimate from all queries, and its rivals."""

    value: Rates
    heads: Rates
    """With every query counting the same."""
    naive: Rates
    normal: Rates
    hacked: bool
    """Whether the data tell h from 0."""
    p_hacked: Floats
    """Probability of rho < 0, for each of the gauge's rows."""
    rho_grid: Floats
    """Correlations, (points,), and how much of the distribution lies on each."""
    rho_mass: Floats


class Gauge:
    """Turns weights of queries into estimates, so that a resample costs a pass over cells, not over queries."""

    def __init__(self, evidence: QueryEvidence, rows: Ints, flat: Ints) -> None:
        """`rows` are the queries to estimate from, `flat` those beside them whose scores are all equal (rho is 0).

        `second_order`, (queries, 4), is what `moments` needs summed.
        """
        self._evidence, self.rows, self._flat = evidence, rows, flat
        measured = evidence.take(rows)
        self.inflation = _pooled_inflation(measured)
        self._deconvolution = Deconvolution(measured, self.inflation)
        self.second_order = np.zeros((len(evidence), 4))
        self.fit = self._fit(measured)

    @classmethod
    def over(cls, evidence: QueryEvidence, alive: Booleans) -> Gauge | None:
        """The gauge over the `alive` queries whose pools are large enough; None if they are too few."""
        used = alive & (evidence.size >= SMALLEST_POOL)
        flat = evidence.score_sd == 0
        rows = np.flatnonzero(used & ~flat)
        return cls(evidence, rows, np.flatnonzero(used & flat)) if len(rows) >= ENOUGH_POOLS else None

    @property
    def queries(self) -> int:
        """How many queries the estimates come from, flat ones included."""
        return len(self.rows) + len(self._flat)

    def held(self, times: Floats) -> tuple[Floats, float]:
        """What each cell holds with each query counted `times`, and the weight of the flat queries."""
        weight = self._evidence.weight * times
        return self._deconvolution.weigh(weight[self.rows]), float(weight[self._flat].sum())

    def moments(self, held: Floats, flat: Floats, sums: Floats) -> Moments:
        """Moments for cells holding `held`, (resamples, cells), beside flat queries of weight `flat`, (resamples,).

        `sums` are those of `second_order` over the queries, each as often as it counts: (resamples, 4).
        """
        return self._complete(self._deconvolution.fit(held), held, flat, _second_order(sums))

    def _complete(self, prior: Floats, held: Floats, flat: Floats, factor: Floats) -> Moments:
        """Moments with the flat queries among the aligned ones, the biases of stopping early and of order 1/N out."""
        found = self._deconvolution.sharpened(prior, held)
        total = held.sum(axis=1)
        aligned = (1 - found.h) * total
        with np.errstate(invalid="ignore", divide="ignore"):
            return Moments(
                found.h * total / (total + flat),
                np.minimum(found.rho_plus * factor, 1.0) * aligned / (aligned + flat),
                np.minimum(found.rho_minus * factor, 1.0),
            )

    def _fit(self, measured: QueryEvidence) -> Fit:
        held, flat = self.held(np.ones(len(self._evidence)))
        prior = self._deconvolution.fit(held[None])
        p_hacked, expected = self._deconvolution.posterior(prior[0])
        terms = (expected * measured.reach, expected * measured.reach_plain, measured.weight, measured.utility_sd)
        self.second_order[self.rows] = np.stack(terms, axis=1)
        sums = self.second_order.sum(axis=0)[None]
        plain = self._deconvolution.weigh(np.ones(len(self.rows)))
        return Fit(
            value=_rates(self._complete(prior, held[None], np.array([flat]), _second_order(sums)).first()),
            heads=_rates(self.moments(plain[None], np.array([float(len(self._flat))]), sums).first()),
            naive=_rates(naive_moments(measured.rho, measured.weight)),
            normal=_rates(normal_moments(measured, measured.weight, self.inflation)),
            hacked=_tells_hacking(self._deconvolution, prior, held, measured.weight),
            p_hacked=p_hacked,
            rho_grid=self._deconvolution.rho,
            rho_mass=prior[0],
        )


def counts_for_net(evidence: QueryEvidence, alive: Booleans) -> Booleans:
    """Which queries the mean correlation is taken over: the `alive` ones with large pools, else all of them.

    The ratio of sums needs no large pools: for pairs it is the share of the oracle's gain itself.
    """
    large = alive & (evidence.size >= SMALLEST_POOL)
    return np.asarray(large if large.any() else alive)


def _pooled_inflation(measured: QueryEvidence) -> float:
    """Mean jackknife inflation; 1, the Gaussian value, where ties leave it undefined for most queries."""
    known = np.isfinite(measured.inflation)
    if known.sum() < max(ENOUGH_POOLS, len(measured) // 2):
        return 1.0
    mean = np.average(measured.inflation[known], weights=measured.weight[known])
    return float(np.clip(mean, *_INFLATION))


def _rates(moments: Moments) -> Rates:
    return Rates(float(moments.h), float(moments.rho_plus), float(moments.rho_minus))


def _second_order(sums: Floats) -> Floats:
    """Factors that take the bias of order 1/N out of correlations weighted by the sample's own spread, (resamples,).

    1 for Gaussian pairs. With skewed utilities a pool's spread and its correlation share their outliers; the jackknife
    says by how much. `sums` are those of expected rho x reach, jackknifed and plain, of the plain spread and of the
    jackknifed one: the expected rho keeps aligned and hacked queries from cancelling.
    """
    reach, plain, weight, below = sums.T
    usable = (plain > 0) & (below > 0)
    factor = np.divide(reach * weight, plain * below, out=np.ones(len(sums)), where=usable)
    return np.asarray(np.clip(factor, 0.85, 1.15), dtype=np.float64)


def _tells_hacking(deconvolution: Deconvolution, prior: Floats, held: Floats, weight: Floats) -> bool:
    """Whether the likelihood prefers some rho < 0 to none by more than chance would."""
    aligned = deconvolution.fit(held[None], allowed=deconvolution.grid > 1e-9)
    share = held / held.sum()
    effective = float(weight.sum() ** 2 / (weight**2).sum())
    gained = share @ (deconvolution.log_likelihood(prior[0]) - deconvolution.log_likelihood(aligned[0]))
    return bool(2 * effective * gained > _LIKELIHOOD_RATIO)


@dataclass(frozen=True)
class Draws:
    """Estimates from the resamples, each (resamples,)."""

    h: Floats
    rho_plus: Floats
    rho_minus: Floats
    net: Floats
    share: Floats
    sigma: Floats


def estimate_resamples(
    evidence: QueryEvidence, alive: Booleans, gauge: Gauge | None, *, group: Ints, groups: int, times: int, seed: int
) -> tuple[Draws, Draws]:
    """The estimates from all queries (as resamples of one) and from `times` bootstrap resamples of `groups` groups.

    `evidence` is of informative queries, `group` is each one's, `alive` are those of users who did not collapse.
    Without a gauge, h and its like are nan.
    """
    weight, spread = evidence.weight, evidence.utility_sd
    used = counts_for_net(evidence, alive)
    # All but the cells is a ratio of sums over queries: they are summed by group once, and resamples add groups.
    columns = (evidence.reach * used, spread * used, weight * alive, weight, spread, np.ones(len(weight)))
    extra = list(gauge.second_order.T) if gauge is not None else []
    sums = np.stack([np.bincount(group, weights=column, minlength=groups) for column in (*columns, *extra)], axis=1)
    drawn_sums = np.zeros((times, sums.shape[1]))
    held: list[Floats] = []
    flat: list[float] = []
    for place, drawn in enumerate(resampled(groups, times, seed)):
        drawn_sums[place] = drawn @ sums
        if gauge is not None:
            one, rest = gauge.held(drawn[group])
            held.append(one)
            flat.append(rest)
    found = Moments(np.full(times, nan), np.full(times, nan), np.full(times, nan))
    value = Moments(np.full(1, nan), np.full(1, nan), np.full(1, nan))
    if gauge is not None:
        cells, beside = np.array(held), np.array(flat)
        some = cells.sum(axis=1) > 0  # a resample may miss every query that counts, if few users have any
        part = gauge.moments(cells[some], beside[some], drawn_sums[some, len(columns) :])
        found.h[some], found.rho_plus[some], found.rho_minus[some] = part.h, part.rho_plus, part.rho_minus
        rates = gauge.fit.value
        value = Moments(np.array([rates.h]), np.array([rates.rho_plus]), np.array([rates.rho_minus]))
    return _draws(sums.sum(axis=0)[None], value), _draws(drawn_sums, found)


def _draws(sums: Floats, moments: Moments) -> Draws:
    reach, below, alive, whole, spread, queries = sums.T[:6]
    with np.errstate(invalid="ignore", divide="ignore"):
        net = np.clip(reach / below, -1.0, 1.0)
        return Draws(moments.h, moments.rho_plus, moments.rho_minus, net, net * (alive / whole), spread / queries)
