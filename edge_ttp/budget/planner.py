"""How many candidates a request gets: a pure function of what they cost here and what is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge_ttp.schema import MAX_CANDIDATES, Budget, Mode

Bound = Literal["requested", "mode", "max_candidates", "deadline", "memory", "energy", "no_reward"]

MODE_CANDIDATES: dict[Mode, int] = {"fast": 4, "balanced": 16, "best": 32}
"""Most candidates per mode. Beyond 32 a doubling adds a third of a standard deviation at twice the time."""

SAVER_CANDIDATES = 4
BATTERY_CANDIDATES = 8


@dataclass(frozen=True)
class Limits:
    """What one request must keep to. None: no such limit."""

    requested: int | None = None
    """N as the caller wrote it; otherwise the largest that the rest allows."""
    deadline_s: float | None = None
    """Seconds that are left of the caller's deadline."""
    width: int | None = None
    """Candidates that the memory holds at once."""
    scored: bool = True
    """Whether anything can tell the candidates apart. If not, more than one is wasted."""


@dataclass(frozen=True)
class Planned:
    """How many candidates, what bound their number, and the predicted seconds."""

    n: int
    bound_by: Bound
    expected_s: float | None
    notes: tuple[str, ...] = ()


def plan(seconds: npt.NDArray[np.float64] | None, budget: Budget, limits: Limits) -> Planned:
    """The largest N within the limits. `seconds[k-1]` predicts the whole call with k candidates, None if unknown.

    A caller's own N is kept unless the deadline or the memory forbid it; at least 1 in any case.
    """
    bounds: list[tuple[int, Bound]] = []
    if limits.requested is not None:
        bounds.append((limits.requested, "requested"))
    else:
        bounds.append((MODE_CANDIDATES[budget.mode], "mode"))
        if not limits.scored:
            bounds.append((1, "no_reward"))
        if budget.energy != "mains":
            most = SAVER_CANDIDATES if budget.energy == "saver" else BATTERY_CANDIDATES
            bounds.append((most, "energy"))
    if budget.max_candidates is not None:
        bounds.append((budget.max_candidates, "max_candidates"))
    bounds.append((MAX_CANDIDATES, "max_candidates"))
    if limits.width is not None:
        bounds.append((max(1, limits.width), "memory"))
    notes: list[str] = []
    if limits.deadline_s is not None and seconds is not None:
        fitting = int(np.sum(np.maximum.accumulate(seconds) <= limits.deadline_s))
        bounds.append((max(1, fitting), "deadline"))
        if fitting < 1:
            notes.append("even one candidate may not fit the deadline; it ends when the deadline does")
    n, bound = min(bounds, key=lambda pair: pair[0])
    if limits.requested is not None and n < limits.requested:
        notes.append(f"{limits.requested} candidates were asked for, {n} fit ({bound.replace('_', ' ')})")
    expected = float(seconds[min(n, len(seconds)) - 1]) if seconds is not None else None
    return Planned(n=n, bound_by=bound, expected_s=expected, notes=tuple(notes))
