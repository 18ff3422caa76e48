"""A user's calibration record, from their labelled evidence: how well scores order this user's candidates."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from edge_ttp.learning.calibration import POPULATION, Calibration
from edge_ttp.reward.posterior import Evidence, Floats
from edge_ttp.scaling.correlation import QueryEvidence, correlate, gather
from edge_ttp.scaling.gauge import Gauge

ENOUGH = 10
"""Informative queries from which on a verdict on one user is possible (hacked, collapsed)."""

_COLLAPSED_BELOW = 0.1
"""Spread of scores over spread of utilities, as a part of the population's, below which scores hardly differ."""

_UNKNOWN = 10.0
"""Standard error of a slope that nothing is known of."""


def calibration(evidence: Sequence[Evidence], unseen: Floats) -> Calibration:
    """The record of a user with this evidence; the population's without labelled pools.

    `unseen`: (E, D) for each pool the weights of a fit that has not seen it, so that the record is not flattered.
    """
    labelled = [(one, weights) for one, weights in zip(evidence, unseen, strict=True) if one.utility is not None]
    sizes = sorted({len(one.noise) for one, _ in labelled if len(one.noise) > 1})
    parts = []
    place = 0
    slopes: list[tuple[float, float]] = []
    for size in sizes:
        pools = [(one, weights) for one, weights in labelled if len(one.noise) == size]
        utilities = np.stack([one.utility for one, _ in pools if one.utility is not None])
        scores = np.stack([one.features @ weights for one, weights in pools])
        parts.append((np.arange(place, place + len(pools)), correlate(utilities, scores)))
        place += len(pools)
        centred = scores - scores.mean(axis=1, keepdims=True)
        products = zip((centred * utilities).sum(axis=1), np.square(centred).sum(axis=1), strict=True)
        slopes += [(float(up), float(down)) for up, down in products]
    if not parts:
        return POPULATION
    every_query = gather(parts, place)
    informative = every_query.take(every_query.informative)
    queries = len(informative)
    if queries == 0:
        return POPULATION
    rho = float((informative.weight * informative.rho).sum() / informative.weight.sum())
    # The spread of a single query's correlation is at least its own sampling error, 1 / sqrt(N - 1).
    noise = float(np.mean(1 / np.maximum(informative.size - 1, 1)))
    scatter = float(np.square(informative.rho - rho).mean()) if queries > 1 else 0.0
    rho_error = sqrt(max(scatter, noise) / queries)
    slope, slope_error = _slope(slopes)
    ratio = float(np.median(informative.score_sd / informative.weight))
    return Calibration.learned(
        rho=rho,
        rho_error=rho_error,
        spread=float(informative.utility_sd.mean()),
        slope=slope,
        slope_error=slope_error,
        queries=queries,
        hacked=_hacked(informative) if queries >= ENOUGH else 0.0,
        collapsed=queries >= ENOUGH and ratio < _COLLAPSED_BELOW * POPULATION.rho and abs(rho) < 1.96 * rho_error,
    )


def _slope(products: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Slope of utility on score over all pools, and its jackknife standard error over pools."""
    up, down = (np.array(column) for column in zip(*products, strict=True))
    if down.sum() <= 0 or len(up) < 2:
        return POPULATION.slope, _UNKNOWN
    rest = down.sum() - down
    usable = rest > 0
    left = (up.sum() - up[usable]) / rest[usable]
    count = len(left)
    error = sqrt(float((count - 1) / max(count, 1) * np.square(left - left.mean()).sum())) if count > 1 else _UNKNOWN
    return float(up.sum() / down.sum()), error


def _hacked(informative: QueryEvidence) -> float:
    """Share of the queries whose true correlation is negative; 0 where chance alone explains the negative ones."""
    gauge = Gauge.over(informative, np.ones(len(informative), dtype=np.bool_))
    if gauge is None or not gauge.fit.hacked:
        return 0.0
    return float(min(1.0, max(0.0, gauge.fit.heads.h)))
