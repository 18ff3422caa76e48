"""What more candidates are worth, in utility units: before anything is scored, and after a wave of scores.

Before: reach m_N, with reach = rho x spread of the user's calibration record and m_N the expected maximum of N standard
normals (edge_ttp.scaling.law). After a scored wave: the same difference of maxima, and to a small part the expected
improvement of the best of k more draws over the best so far, the draws being normal with the pool's own calibrated
spread. For k = 1 it is the well-known tau [phi(z) - z (1 - Phi(z))] (Mockus 1975; Jones et al. 1998). Formulas for the
use here are this project's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import erfc, sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from edge_ttp.budget import planner
from edge_ttp.learning.calibration import Calibration
from edge_ttp.scaling import expected_maximum

Floats = npt.NDArray[np.float64]

PRIOR_CANDIDATES = 64
"""Candidates that the user's record counts for when a pool's own spread is estimated."""

REALIZED = 0.8
"""Part of the promised gain at the top of a pool that is real: the largest of many predictions was too high more often
than too low. On 100 pools of tune users: .93 for 2 candidates, .80 for 16."""

LEAD_SAYS = 0.25
"""How far the lead of a pool's best candidate counts. Were draws normal with the user's spread, all of it: a large lead
would leave little to gain. On 320 pools of tune users what was gained after 4, 8 and 16 candidates hardly depended on
the lead (slopes against this formula .40, .06, .19), since a pool with a large lead is mostly one of a large spread."""

_WIDTH, _POINTS = 8.0, 240
_CASES = 9


@dataclass(frozen=True)
class Outlook:
    """What a scored wave says about drawing more."""

    spread: float
    """tau: standard deviation, in utility units, of what a further candidate is expected to be worth."""
    lead: float
    """How far the best candidate's expected utility is above the expected one of a further candidate, utility units."""
    reach: float
    """The same as spread, by the user's record alone."""
    drawn: int
    """Candidates so far."""

    def improvement(self, most: int) -> Floats:
        """Expected gain, (most,), of 1, 2, ... `most` more candidates over the best so far.

        LEAD_SAYS of it by the lead, the rest as after any so many candidates.
        """
        maxima = expected_maximum(np.arange(self.drawn, self.drawn + most + 1))
        usual = self.reach * (maxima[1:] - maxima[0])
        return np.asarray(LEAD_SAYS * expected_improvement(self.spread, self.lead, most) + (1 - LEAD_SAYS) * usual)


def expected_improvement(spread: float, lead: float, most: int) -> Floats:
    """(most,) how far the best of 1, 2, ... `most` normal draws is expected to rise above `lead`, where it does."""
    if spread <= 0:
        return np.zeros(most)
    start = lead / spread
    if start > _WIDTH:
        return np.zeros(most)
    nodes = np.linspace(start, max(start, 0.0) + _WIDTH, _POINTS)
    below = np.array([0.5 * erfc(-x / sqrt(2)) for x in nodes])
    k = np.arange(1, most + 1)[:, None]
    beyond = 1 - below[None, :] ** k
    step = nodes[1] - nodes[0]
    return np.asarray(spread * step * (beyond.sum(axis=1) - 0.5 * (beyond[:, 0] + beyond[:, -1])))


def before_scores(calibration: Calibration, most: int) -> Floats:
    """Expected gain, (most,), of 1, 2, ... `most` candidates over a single one."""
    reach = REALIZED * calibration.reach
    return np.asarray(reach * expected_maximum(np.arange(1, most + 1)), dtype=np.float64)


def after_part(calibration: Calibration, drawn: int, most: int) -> Floats:
    """(_CASES, most) expected gains of 1, 2, ... `most` more candidates after a wave of `drawn`, before it is drawn.

    The rows are equally likely: the lead is that of the best of `drawn` standard normals, at quantiles of its
    distribution.
    """
    reach = REALIZED * calibration.reach
    quantiles = (np.arange(_CASES) + 0.5) / _CASES
    leads = [NormalDist().inv_cdf(float(one) ** (1 / drawn)) for one in quantiles]
    return np.stack([Outlook(reach, reach * lead, reach, drawn).improvement(most) for lead in leads])


def first_wave(n: int, *, record: Calibration, seconds: Floats, score_s: Callable[[int], Floats], cost: float) -> int:
    """Candidates to draw before the first scores decide again, where the plan is for `n` (planner.first_wave).

    `seconds`, (n,) or more: of drawing 1, 2, ... in one wave; `score_s`: of scoring so many once more; `cost`: utility
    units per second.
    """
    part = planner.part_wave(n)
    if part == n:
        return n
    improvement = after_part(record, part, n - part)
    return planner.first_wave(n, seconds=seconds, again_s=float(score_s(part)), improvement=improvement, cost=cost)


def after_wave(calibration: Calibration, mean: Floats) -> Outlook:
    """What the predicted means of a wave, (n,), say.

    The spread is the user's record, with the pool's own counting n - 1 against PRIOR_CANDIDATES: in a small pool a wide
    spread mostly means that one candidate is ahead already, and what is ahead is the lead.
    """
    n = len(mean)
    slope = max(0.0, calibration.slope) if calibration.trusted else 0.0
    seen = slope**2 * float(np.var(mean, ddof=1)) if n > 1 else 0.0
    weight = n - 1
    spread = sqrt((weight * seen + PRIOR_CANDIDATES * calibration.reach**2) / (weight + PRIOR_CANDIDATES))
    lead = slope * float(np.max(mean) - np.mean(mean))
    return Outlook(spread=REALIZED * spread, lead=REALIZED * lead, reach=REALIZED * calibration.reach, drawn=n)
