"""What one query's pool says: spreads, the correlation of utility and score, and how far to trust it.

The delete-one jackknife (Efron & Tibshirani, An Introduction to the Bootstrap, chapter 11) is in closed form here: a
correlation's leave-one-out values follow from five sums. It gives the variance of atanh(rho_hat) where ties or skew
make 1/(N-3) doubtful, and takes the first-order bias out of spreads.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from edge_ttp.errors import InvalidInput
from edge_ttp.scaling.curves import Ints
from edge_ttp.scaling.order_statistics import Floats

ROUNDING = 1e-9
"""A spread below this part of the largest value is rounding, not spread."""

_EXTREME = 1 - 1e-7
_SMALLEST_JACKKNIFE = 4


@dataclass(frozen=True)
class QueryEvidence:
    """What each query's pool says. All arrays are (queries,)."""

    size: Ints
    """Candidates in the pool, N."""
    utility_mean: Floats
    utility_sd: Floats
    """Sample standard deviation of the utilities; 0 where they are all equal. Jackknifed: its bias of order 1/N is
    taken out."""
    score_sd: Floats
    """Sample standard deviation of the scores; 0 where they are all equal."""
    rho: Floats
    """Sample correlation; 0 where all scores are equal (any candidate may be picked), nan where all utilities are."""
    weight: Floats
    """Plain sample standard deviation of the utilities: what rho is weighted by."""
    reach: Floats
    """rho x weight, jackknifed: the utility gained per standard deviation of score."""
    reach_plain: Floats
    """rho x weight."""
    inflation: Floats
    """Jackknife variance of atanh(rho), 1 if utilities and scores are jointly Gaussian, nan where it is undefined."""

    def __len__(self) -> int:
        return len(self.size)

    def take(self, rows: Ints | np.ndarray[tuple[int], np.dtype[np.bool_]]) -> QueryEvidence:
        """The evidence of some of the queries."""
        return QueryEvidence(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})

    @property
    def informative(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Queries with at least two candidates whose utilities differ."""
        return np.asarray((self.size > 1) & (self.weight > 0))


def correlate(utilities: Floats, scores: Floats) -> QueryEvidence:
    """The evidence of pools of one size: `utilities` and `scores` are (queries, N), finite."""
    utility, score = np.asarray(utilities, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if utility.ndim != 2 or utility.shape != score.shape or utility.shape[1] < 1:
        raise InvalidInput(f"{utility.shape} utilities and {score.shape} scores do not match", "give one of each")
    if not (np.isfinite(utility).all() and np.isfinite(score).all()):
        raise InvalidInput("a utility or a score is not finite", "leave such candidates out")
    queries, size = utility.shape
    u, s = _centred(utility), _centred(score)
    suu, sss, sus = _sums(u, u), _sums(s, s), _sums(u, s)
    below = max(size - 1, 1)
    weight, score_sd = np.sqrt(suu / below), np.sqrt(sss / below)
    rho = _ratio(sus, suu, sss)
    reach = rho * weight
    full = QueryEvidence(
        size=np.full(queries, size, dtype=np.int64),
        utility_mean=utility.mean(axis=1),
        utility_sd=weight.copy(),
        score_sd=score_sd,
        rho=np.where(weight > 0, rho, np.nan),
        weight=weight,
        reach=reach.copy(),
        reach_plain=reach,
        inflation=np.full(queries, np.nan),
    )
    if size >= _SMALLEST_JACKKNIFE:
        _jackknife(full, u, s)
    return full


def third_moment(values: Floats) -> Floats:
    """Each row's skewness, (rows,), free of the bias of small samples (Joanes & Gill 1998, G1); 0 without spread.

    `values` is (rows, N), N at least 3.
    """
    size = values.shape[1]
    centred = _centred(np.asarray(values, dtype=np.float64))
    spread = np.sqrt((centred**2).mean(axis=1))
    raw = np.divide((centred**3).mean(axis=1), spread**3, out=np.zeros(len(values)), where=spread > 0)
    return np.asarray(raw * np.sqrt(size * (size - 1)) / (size - 2), dtype=np.float64)


def gather(parts: list[tuple[Ints, QueryEvidence]], queries: int) -> QueryEvidence:
    """The evidence of `queries` queries from parts, each with the places where its queries belong."""
    columns: dict[str, Any] = {}
    for one in fields(QueryEvidence):
        column = np.zeros(queries, dtype=np.int64 if one.name == "size" else np.float64)
        for places, part in parts:
            column[places] = getattr(part, one.name)
        columns[one.name] = column
    return QueryEvidence(**columns)


def _centred(values: Floats) -> Floats:
    """Deviations from each row's mean; exactly 0 in rows whose spread is rounding."""
    centred = values - values.mean(axis=1, keepdims=True)
    spread = values.max(axis=1) - values.min(axis=1)
    flat = spread <= ROUNDING * np.abs(values).max(axis=1)
    centred[flat] = 0.0
    return np.asarray(centred, dtype=np.float64)


def _sums(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.einsum("qi,qi->q", a, b), dtype=np.float64)


def _ratio(sus: Floats, suu: Floats, sss: Floats) -> Floats:
    """Correlations from centred sums, 0 where one side has no spread."""
    product = np.sqrt(suu) * np.sqrt(sss)
    rho = np.divide(sus, product, out=np.zeros_like(sus), where=product > 0)
    return np.asarray(np.clip(rho, -1.0, 1.0), dtype=np.float64)


def _jackknife(full: QueryEvidence, u: Floats, s: Floats) -> None:
    """Fills in utility_sd, reach and inflation where every leave-one-out pool still has spread on both sides."""
    size = u.shape[1]
    suu, sss, sus = _sums(u, u), _sums(s, s), _sums(u, s)
    part = size / (size - 1)
    luu = suu[:, None] - part * u * u
    lss = sss[:, None] - part * s * s
    spread_u = luu > 1e-9 * suu[:, None]
    usable = (suu > 0) & spread_u.all(axis=1)
    left_sd = np.sqrt(np.maximum(luu, 0.0) / (size - 2))
    full.utility_sd[usable] = (size * full.weight - (size - 1) * left_sd.mean(axis=1))[usable]
    usable &= (sss > 0) & (lss > 1e-9 * sss[:, None]).all(axis=1)
    if not usable.any():
        return
    rows = np.flatnonzero(usable)
    left = _ratio(sus[rows, None] - part * u[rows] * s[rows], luu[rows], lss[rows])
    left_reach = left * left_sd[rows]
    full.reach[rows] = size * full.reach_plain[rows] - (size - 1) * left_reach.mean(axis=1)
    z = np.arctanh(np.clip(left, -_EXTREME, _EXTREME))
    variance = (size - 1) / size * ((z - z.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    # The jackknife's mean is (N-1)/(N-3)^2 for Gaussian pairs (simulated for N = 8, 16, 32: within 3%).
    full.inflation[rows] = variance * (size - 3) ** 2 / (size - 1)
