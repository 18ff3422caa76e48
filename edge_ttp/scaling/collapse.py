"""Which users the score has collapsed for: its spread within their queries is near zero.

Near zero relative to the spread of the user's own utilities (a low spread is healthy where the candidates really are
alike) and to what is typical of this score; and, since a score may be small and right, the user's pooled correlation
has to be indistinguishable from 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp.scaling.correlation import QueryEvidence
from edge_ttp.scaling.curves import Ints
from edge_ttp.scaling.order_statistics import Floats

Booleans = npt.NDArray[np.bool_]

COLLAPSED_BELOW = 0.1
"""Part of the typical spread below which a user's score counts as collapsed."""

SENSITIVITY = (0.05, 0.1, 0.15, 0.2)
"""Other such parts, for which the collapse rate is reported too."""

ENOUGH_QUERIES = 10
"""Informative queries from which on a single user can be judged."""

_SURE = 2.576
"""Standard errors: the interval that has to include 0 is a 99% one, so that chance clears 1 collapsed user in 100."""

_SHOWN = 1.645


@dataclass(frozen=True)
class Users:
    """What is known about each user; arrays are (users,)."""

    informative: Ints
    """Queries whose utilities differ."""
    spread: Floats
    """Median over those of sd(score) / sd(utility); nan without any."""
    typical: float
    """The spread that is typical of this score: what `spread` is compared with."""
    rho: Floats
    """Pooled correlation: mean of the queries' rho, weighted by the utilities' spread; nan without any."""
    low: Floats
    """Lower end of its 90% interval."""
    high: Floats
    collapsed: Booleans
    misled: Booleans
    """Users whose pooled correlation is below 0 by a 99% interval: many users are looked at, and few may be accused."""
    majority: bool
    """Most users collapsed, so that the typical spread is that of the users for whom the score says something."""
    _confirmed: Booleans

    @property
    def relative(self) -> Floats:
        """Spread as part of the typical one."""
        return self.spread / self.typical if self.typical > 0 else np.full(len(self.spread), np.nan)

    @property
    def enough(self) -> Booleans:
        """Whether a user has enough informative queries to be judged alone."""
        return self.informative >= ENOUGH_QUERIES

    def collapsed_below(self, part: float) -> Booleans:
        """Who would count as collapsed below another part of the typical spread."""
        return _collapsed(self.spread, part * self.typical, self._confirmed)


def judge_users(evidence: QueryEvidence, user: Ints, users: int) -> Users:
    """The table of users 0 .. users-1; `user` gives each query's. With one user nobody counts as collapsed."""
    rows = np.flatnonzero(evidence.informative)
    owner, weight, rho = user[rows], evidence.weight[rows], evidence.rho[rows]
    count = np.bincount(owner, minlength=users)
    total = np.bincount(owner, weights=weight, minlength=users)
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = np.bincount(owner, weights=weight * rho, minlength=users) / total
        squares = np.bincount(owner, weights=(weight * (rho - pooled[owner])) ** 2, minlength=users)
        seen = squares * (count / np.maximum(count - 1, 1))
        least = np.bincount(owner, weights=weight**2 / (evidence.size[rows] - 1), minlength=users)
        error = np.sqrt(np.maximum(seen, least * (1 - pooled**2) ** 2)) / total
    spread = _medians(owner, evidence.score_sd[rows] / weight, users)
    confirmed = np.abs(pooled) <= _SURE * error
    typical, majority = _typical(spread, confirmed, np.abs(pooled) > _SURE * error)
    return Users(
        informative=count,
        spread=spread,
        typical=typical,
        rho=pooled,
        low=np.maximum(pooled - _SHOWN * error, -1.0),
        high=np.minimum(pooled + _SHOWN * error, 1.0),
        collapsed=_collapsed(spread, COLLAPSED_BELOW * typical, confirmed),
        misled=pooled < -_SURE * error,
        majority=majority,
        _confirmed=confirmed,
    )


def _collapsed(spread: Floats, limit: float, confirmed: Booleans) -> Booleans:
    """A score that is constant in most of a user's queries has collapsed whatever the others' look like."""
    return np.asarray(((spread < limit) | (spread == 0)) & confirmed)


def _typical(spread: Floats, confirmed: Booleans, speaks: Booleans) -> tuple[float, bool]:
    """The median spread; that of the users with a correlation, where the median itself is near zero beside it."""
    known = np.isfinite(spread)
    if not known.any():
        return 0.0, False
    median = float(np.median(spread[known]))
    if speaks.any() and confirmed.any():
        speaking = float(np.median(spread[speaks]))
        if median < COLLAPSED_BELOW * speaking:
            return speaking, True
    return median, False


def _medians(group: Ints, values: Floats, groups: int) -> Floats:
    """The median of the values of each group, nan for an empty one."""
    order = np.lexsort((values, group))
    ranked = values[order]
    count = np.bincount(group, minlength=groups)
    start = np.cumsum(count) - count
    found = np.full(groups, np.nan)
    some = count > 0
    low, high = start[some] + (count[some] - 1) // 2, start[some] + count[some] // 2
    found[some] = 0.5 * (ranked[low] + ranked[high])
    return found
