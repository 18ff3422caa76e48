"""How many candidates one user's evidence justifies: what each doubling is expected to add, and where it stops paying.

Expected gain of N candidates over one is reach x m_N, reach = rho x spread of the user's calibration record, which is
shrunk towards the population's as far as the evidence is thin (edge_ttp.calibration). The planner weighs the same gain
against measured time; without a device in hand, a doubling has to add DOUBLING_PAYS.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from edge_ttp.calibration import POPULATION, Calibration
from edge_ttp.diagnosis.judge import Diagnosis
from edge_ttp.diagnosis.table import Table
from edge_ttp.scaling import Pools, expected_maximum
from edge_ttp.scaling.collapse import ENOUGH_QUERIES

SIZES = (1, 2, 4, 8, 16, 32, 64)

DOUBLING_PAYS = 0.008
"""Utility that a doubling of N has to add: about a tenth of the usual spread of utility within a query."""

HARDLY = 0.1 * POPULATION.rho
"""Spread of a calibrated score over that of the utility below which scores hardly differ: a tenth of the usual one."""

_SURE = 1.96

TRUST_Z = 0.674
"""Quartile of the standard normal: rho is trusted where it is above 0 with a probability of three quarters."""


@dataclass(frozen=True)
class Worth:
    """What candidates are worth to one user."""

    record: Calibration
    gain: dict[int, float]
    """Expected utility of N candidates above that of one, by N."""
    n: int
    """The largest N whose last doubling still adds DOUBLING_PAYS; 1 where the score cannot be trusted."""
    reason: str
    """Why, in words."""


def worth(found: Diagnosis, table: Table) -> Worth:
    """What this user's own pools say, together with the population."""
    record = calibration_of(found, table)
    gain = {n: float(record.reach * expected_maximum(n)) for n in SIZES}
    return Worth(record, gain, *_justified(record, gain))


def _justified(record: Calibration, gain: dict[int, float]) -> tuple[int, str]:
    if record.collapsed:
        return 1, "the scores hardly differ, so any candidate is picked: more of them buy nothing"
    if record.rho <= TRUST_Z * record.rho_sd:
        return 1, f"the score may point the wrong way (rho {record.rho:.2f} ± {record.rho_sd:.2f})"
    n = 1
    while 2 * n in gain and gain[2 * n] - gain[n] >= DOUBLING_PAYS:
        n *= 2
    whose = "the population's record" if record.queries == 0 else f"{record.queries} queries of this user"
    text = f"by {whose}, {n} candidates are worth {gain[n]:+.3f} over one"
    if 2 * n in gain:
        text += f"; going on to {2 * n} would add {gain[2 * n] - gain[n]:.3f}"
    return n, text


def calibration_of(found: Diagnosis, table: Table) -> Calibration:
    """The user's calibration record from these pools; the population's without informative ones."""
    if found.quantities is None or found.informative == 0 or table.utility is None or table.score is None:
        return POPULATION
    pools, _ = Pools.of(table.utility, table.score, table.query, table.query_user)
    evidence = pools.evidence()
    told = evidence.take(evidence.informative)
    rho = float((told.weight * told.rho).sum() / told.weight.sum())
    # A single query's correlation is off by about 1 / sqrt(N - 1), however alike the few that are known may be.
    noise = float(np.mean(1 / (told.size - 1)))
    scatter = float(np.square(told.rho - rho).mean()) if len(told) > 1 else 0.0
    slope, slope_error = _slope(pools)
    error = sqrt(max(scatter, noise) / len(told))
    ratio = float(np.median(told.score_sd / told.weight))
    h = found.quantities.h
    return Calibration.learned(
        rho=rho,
        rho_error=error,
        spread=float(told.utility_sd.mean()),
        slope=slope,
        slope_error=slope_error,
        queries=found.informative,
        hacked=float(h.value) if h.known and h.low > 0 else 0.0,
        collapsed=found.informative >= ENOUGH_QUERIES and ratio < HARDLY and abs(rho) < _SURE * error,
    )


def _slope(pools: Pools) -> tuple[float, float]:
    """Utility gained per unit of score within queries, and its standard error over queries (jackknife)."""
    up, down = [], []
    for _, at in pools.blocks():
        score = pools.score[at] - pools.score[at].mean(axis=1, keepdims=True)
        up.append((score * pools.utility[at]).sum(axis=1))
        down.append(np.square(score).sum(axis=1))
    above, below = np.concatenate(up), np.concatenate(down)
    rest = below.sum() - below
    if len(above) < 2 or (rest <= 0).any():
        return POPULATION.slope, inf
    left = (above.sum() - above) / rest
    error = sqrt(float((len(left) - 1) / len(left) * np.square(left - left.mean()).sum()))
    return float(above.sum() / below.sum()), error
