"""One user's calibration record: how well the reward model's scores order this user's candidates, and how sure that is.

Adaptation writes it from the user's own evidence, history keeps it, the planner reads it. Its formulas are this
project's own (theory: expected utility of the best of N by score is mean + rho spread m_N; see edge_ttp.scaling.law).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

from edge_ttp.errors import InvalidInput


@dataclass(frozen=True)
class Calibration:
    """What is believed of one user. Raises InvalidInput for values that cannot be."""

    rho: float
    """Correlation of score and utility within a query, this user's mean, -1 to 1: the estimate after shrinking it
    towards the population's."""
    rho_sd: float
    """Standard deviation of what rho may really be, above 0."""
    spread: float
    """Standard deviation of the utility within a query, this user's mean, utility units."""
    slope: float = 1.0
    """Utility gained per unit of predicted mean within a query: 1 where the reward model is calibrated, 0 where its
    differences mean nothing."""
    hacked: float = 0.0
    """Share of this user's queries whose scores prefer the worse candidates, 0 to 1."""
    collapsed: bool = False
    """Whether the scores hardly differ within this user's queries."""
    queries: int = 0
    """Informative queries behind it; 0 for a user without evidence."""

    def __post_init__(self) -> None:
        for name, low, high in (("rho", -1.0, 1.0), ("rho_sd", 0.0, inf), ("spread", 0.0, inf), ("hacked", 0.0, 1.0)):
            value = getattr(self, name)
            if not (isfinite(value) and low <= value <= high):
                raise InvalidInput(
                    f"a calibration record with {name}={value} cannot be", "delete it: it is learned anew"
                )
        if not isfinite(self.slope) or self.queries < 0:
            raise InvalidInput("a calibration record is damaged", "delete it: it is learned anew")

    @classmethod
    def learned(
        cls,
        *,
        rho: float,
        rho_error: float,
        spread: float,
        slope: float,
        slope_error: float,
        queries: int,
        hacked: float = 0.0,
        collapsed: bool = False,
    ) -> Calibration:
        """The record of a user whose own evidence, before any shrinking, says this.

        `rho_error` and `slope_error` are standard errors; each estimate is combined with the population's by their
        precisions. `spread` counts as SPREAD_QUERIES more queries with the population's spread. The prior alone for no
        queries.
        """
        if queries == 0:
            return POPULATION
        mean, deviation = _combined(rho, rho_error, POPULATION.rho, POPULATION.rho_sd)
        return cls(
            rho=min(1.0, max(-1.0, mean)),
            rho_sd=deviation,
            spread=(queries * spread + SPREAD_QUERIES * POPULATION.spread) / (queries + SPREAD_QUERIES),
            slope=_combined(slope, slope_error, POPULATION.slope, SLOPE_SD)[0],
            hacked=hacked,
            collapsed=collapsed,
            queries=queries,
        )

    @property
    def trusted(self) -> bool:
        """Whether the scores of this user order candidates at all: not collapsed, and rho is above 0 with a probability
        of three quarters or more."""
        return not self.collapsed and self.rho > TRUST_Z * self.rho_sd

    @property
    def reach(self) -> float:
        """Utility that one standard deviation of score is worth before anything is scored: rho x spread, at least 0."""
        return 0.0 if self.collapsed else max(0.0, self.rho) * self.spread


def _combined(value: float, error: float, prior: float, deviation: float) -> tuple[float, float]:
    """Mean and standard deviation of a normal prior after a normal measurement."""
    error = max(error, 1e-6)
    weight, own = 1 / (deviation * deviation), 1 / (error * error)
    return (weight * prior + own * value) / (weight + own), (weight + own) ** -0.5


POPULATION = Calibration(rho=0.40, rho_sd=0.15, spread=0.070, slope=0.88)
"""A user without evidence: means over tune users' pools, scored by the shipped reward model (docs/budget.md)."""

TRUST_Z = 0.674
"""Quantile of the standard normal at three quarters."""

SLOPE_SD = 0.5
"""Standard deviation of the slope between users."""

SPREAD_QUERIES = 4
"""Queries that the population's spread counts for."""
