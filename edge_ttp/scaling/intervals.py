"""Intervals: bootstrap over users, and Wilson's for shares that are counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, nan, sqrt

import numpy as np

from edge_ttp.scaling.order_statistics import Floats

LEVEL = 0.9
"""Nominal coverage of every interval."""

_Z = 1.645


@dataclass(frozen=True)
class Estimate:
    """A value with its 90% interval. All nan: it cannot be estimated from these pools."""

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return isfinite(self.value)


UNKNOWN = Estimate(nan, nan, nan)


def resampled(groups: int, times: int, seed: int) -> Iterator[Floats]:
    """How often each of `groups` is drawn in each of `times` bootstrap resamples; the same for the same seed."""
    rng = np.random.default_rng(seed)
    if groups < 1:
        return
    for _ in range(times):
        yield np.bincount(rng.integers(groups, size=groups), minlength=groups).astype(np.float64)


def interval(values: Floats, value: float, groups: int, limits: tuple[float, float] = (-np.inf, np.inf)) -> Estimate:
    """`value` with the percentile interval of its resamples over `groups` groups; nan are left out.

    The interval holds the value itself. Its ends are moved away from it as far as Student's quantile exceeds the
    normal one, since few groups show too little of their own spread, but not beyond `limits`.
    """
    usable = values[np.isfinite(values)]
    if not isfinite(value) or len(usable) < 2 or groups < 2:
        return UNKNOWN
    low, high = np.quantile(usable, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="weibull")
    wider = _student(groups - 1) / _Z * sqrt(groups / (groups - 1))
    low, high = value + wider * min(low - value, 0.0), value + wider * max(high - value, 0.0)
    return Estimate(float(value), float(max(low, limits[0])), float(min(high, limits[1])))


def _student(freedom: int) -> float:
    """Student's 95% quantile (Abramowitz & Stegun 26.7.5; within 1% for 3 degrees of freedom or more)."""
    cubic, quintic = (_Z**3 + _Z) / 4, (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / 96
    return float(_Z + cubic / freedom + quintic / freedom**2)


def wilson(share: float, weight: Floats) -> Estimate:
    """Wilson's interval of a weighted share over groups of these weights.

    They count as (sum w)^2 / sum w^2 groups of equal weight (Kish's effective size).
    """
    effective = float(weight.sum() ** 2 / (weight**2).sum())
    if share in (0.0, 1.0):  # the formula's ends, free of rounding
        reach = _Z**2 / (effective + _Z**2)
        return Estimate(share, 0.0 if share == 0 else 1 - reach, reach if share == 0 else 1.0)
    centre = (share + _Z**2 / (2 * effective)) / (1 + _Z**2 / effective)
    half = _Z / (1 + _Z**2 / effective) * sqrt(share * (1 - share) / effective + (_Z / (2 * effective)) ** 2)
    return Estimate(share, centre - half, centre + half)
