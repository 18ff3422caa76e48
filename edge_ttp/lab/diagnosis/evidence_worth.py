"""How many candidates one user's evidence justifies: what each doubling is expected to add, and where it stops paying.

Expected gain of N candidates over one is reach x m_N, reach = rho x spread of the user's calibration record, which is
shrunk towards the population's as far as the evidence is thin (edge_ttp.learning.calibration). The planner weighs the
same gain against measured time; without a device in hand, a doubling has to add DOUBLING_PAYS.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_ttp.learning.calibration import Calibration
from edge_ttp.scaling import expected_maximum

SIZES = (1, 2, 4, 8, 16, 32, 64)

LEAST_QUERIES = 8
"""With fewer queries of the user's own nothing is said of them: their record is the population's, hardly moved."""

DOUBLING_PAYS = 0.008
"""Utility that a doubling of N has to add: about a tenth of the usual spread of utility within a query."""


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

    @property
    def known(self) -> bool:
        """Whether it says something of this user, and not only of users in general."""
        return self.record.queries >= LEAST_QUERIES


def worth(record: Calibration) -> Worth:
    """What candidates are worth to the user with this record."""
    gain = {n: float(record.reach * expected_maximum(n)) for n in SIZES}
    return Worth(record, gain, *_justified(record, gain))


def _justified(record: Calibration, gain: dict[int, float]) -> tuple[int, str]:
    if record.collapsed:
        return 1, "the scores hardly differ, so any candidate is picked: more of them buy nothing"
    if not record.trusted:
        return 1, f"the score may point the wrong way (rho {record.rho:.2f} ± {record.rho_sd:.2f})"
    n = 1
    while 2 * n in gain and gain[2 * n] - gain[n] >= DOUBLING_PAYS:
        n *= 2
    whose = f"{record.queries} queries of this user" if record.queries >= LEAST_QUERIES else "the population's record"
    text = f"by {whose}, {n} candidates are worth {gain[n]:+.3f} over one"
    if 2 * n in gain:
        text += f"; going on to {2 * n} would add {gain[2 * n] - gain[n]:.3f}"
    return n, text
