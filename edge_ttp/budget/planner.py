"""How many candidates a request gets, of what length, behind how many examples: a pure function of cost and worth.

Hard limits first: deadline, memory, the caller's and the device's caps. Within them the plan with the largest expected
gain minus the price of its time. Batched time is not convex in N, so all N are compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp.learning.calibration import POPULATION
from edge_ttp.schema import MAX_CANDIDATES, Bound, Budget, Energy, Mode

Floats = npt.NDArray[np.float64]

PRICES: dict[Mode, float] = {"fast": 0.5, "balanced": 0.1, "best": 0.02}
"""What a second costs in each mode, in units of the utility's spread within a query (UTILITY_UNIT)."""

UTILITY_UNIT = POPULATION.spread
"""That spread for the population, in utility units: half of agreeing words is .5."""

ENERGY_FACTOR: dict[Energy, float] = {"mains": 1.0, "battery": 2.0, "saver": 4.0}
"""How much dearer a second is without mains."""

HEAT_FACTOR = 2.0
"""How much dearer a second is on a hot processor."""

SAVER_CANDIDATES = 4
BATTERY_CANDIDATES = 8
HOT_CANDIDATES = 8
DISTRUSTED_CANDIDATES = 2
"""A user whose scores order nothing: more would be drawn for nothing; one alternative keeps feedback possible."""

SMALLEST_SPLIT = 4
"""Plans for fewer candidates are drawn in one wave: a second one would cost more than it could save."""

FIRST_SHARE = 0.5
"""Part of the planned candidates in a first wave that others may follow."""

MODE_CANDIDATES: dict[Mode, int] = {"fast": 4, "balanced": 16, "best": 32}
"""Candidates where nothing was measured on this device."""


@dataclass(frozen=True)
class PlanLimits:
    """What one request must keep to. None: no such limit."""

    requested: int | None = None
    """N as the caller wrote it; otherwise the planner chooses."""
    deadline_s: float | None = None
    """Seconds that are left of the caller's deadline."""
    scored: bool = True
    """Whether anything can tell the candidates apart. If not, more than one is wasted."""
    trusted: bool = True
    """Whether this user's scores order candidates at all."""
    hot: bool = False
    """Whether the processor is at its upper temperature."""


@dataclass(frozen=True)
class Option:
    """One way to put the request: with so many examples, answers of at most so many tokens."""

    examples: int
    longest: int
    """Tokens a candidate may have."""
    seconds: Floats | None
    """(most,) predicted seconds from now to the recorded answer with 1, 2, ... candidates; None if nothing is known."""
    gain: Floats
    """(most,) expected utility with 1, 2, ... candidates, above that of one candidate put in the best way."""
    width: int | None = None
    """Candidates that the memory holds at once."""


@dataclass(frozen=True)
class Planned:
    """The option taken, how many candidates, what bound their number, and what is expected."""

    option: Option
    n: int
    bound_by: Bound
    expected_s: float | None
    expected_gain: float
    price: float
    """Utility units per second that time was reckoned at."""
    most: int = 1
    """Candidates that nothing but time and worth forbids: what later waves may reach."""
    notes: tuple[str, ...] = ()


def price(budget: Budget, *, hot: bool = False) -> float:
    """What a second costs under this budget, utility units."""
    factor = ENERGY_FACTOR[budget.energy or "mains"] * (HEAT_FACTOR if hot else 1.0)
    return PRICES[budget.mode] * factor * UTILITY_UNIT


def plan(options: Sequence[Option], budget: Budget, limits: PlanLimits) -> Planned:
    """The best option and N within the limits, at least 1 candidate in any case.

    A caller's own N is kept unless the deadline or the memory forbid it. Where no option fits the deadline, the
    quickest one is tried with one candidate: it ends when the deadline does.
    """
    cost = price(budget, hot=limits.hot)
    fitting = [option for option in options if _fits(option, limits) > 0]
    notes: list[str] = []
    if not fitting:
        fitting = [min(options, key=lambda option: 0.0 if option.seconds is None else float(option.seconds[0]))]
        notes.append("even one candidate may not fit the deadline; it ends when the deadline does")
    best = [_best_n(option, budget, limits, cost) for option in fitting]
    values = [value for *_, value in best]
    place = int(np.argmax(values))
    option, (n, bound, _) = fitting[place], best[place]
    most = min(cap for cap, _ in _caps(option, budget, limits))
    if limits.requested is not None and n < limits.requested:
        notes.append(f"{limits.requested} candidates were asked for, {n} fit ({bound.replace('_', ' ')})")
    return Planned(
        option=option,
        n=n,
        bound_by=bound,
        expected_s=None if option.seconds is None else float(option.seconds[n - 1]),
        expected_gain=float(option.gain[n - 1]),
        price=cost,
        most=max(n, most),
        notes=tuple(notes),
    )


def part_wave(n: int) -> int:
    """Candidates of a wave that is a part of `n` planned ones; all of few."""
    return n if n < SMALLEST_SPLIT else math.ceil(n * FIRST_SHARE)


def first_wave(n: int, *, seconds: Floats, again_s: float, improvement: Floats, cost: float) -> int:
    """Candidates to draw before the first scores decide again, where the plan is for `n`: all, or part_wave(n).

    Two waves cost more than one of the same candidates, because a step of many rows takes little longer than one of
    few, and the first scores have to be computed again (`again_s` seconds). They pay where it is likely enough that
    the first wave will do. `seconds`, (n,): of drawing 1, 2, ... n candidates in one wave. `improvement`, (Q, n): what
    1, 2, ... more would gain after part_wave(n), in Q equally likely cases (gain.after_part).
    """
    part = part_wave(n)
    rest = n - part
    if rest < 1:
        return n
    further = improvement[:, :rest] - cost * (seconds[:rest] + again_s)
    in_parts = float(np.maximum(further.max(axis=1), 0.0).mean())
    at_once = float(improvement[:, rest - 1].mean()) - cost * float(seconds[n - 1] - seconds[part - 1])
    return part if in_parts > at_once else n


def more(seconds: Floats, improvement: Floats, cost: float, *, most: int, left_s: float | None) -> int:
    """How many further candidates to draw after a scored wave: 0 to stop.

    `seconds` and `improvement`, (k,) each: what 1, 2, ... k more would take and gain; at most `most` of them, in the
    `left_s` seconds that the deadline leaves.
    """
    most = min(most, len(seconds))
    if left_s is not None:
        most = min(most, int(np.sum(np.maximum.accumulate(seconds) <= left_s)))
    if most < 1:
        return 0
    value = improvement[:most] - cost * seconds[:most]
    best = int(np.argmax(value))
    return best + 1 if value[best] > 0 else 0


def _fits(option: Option, limits: PlanLimits) -> int:
    """How many candidates of this option the deadline holds."""
    if limits.deadline_s is None or option.seconds is None:
        return len(option.gain)
    return int(np.sum(np.maximum.accumulate(option.seconds) <= limits.deadline_s))


def _best_n(option: Option, budget: Budget, limits: PlanLimits, cost: float) -> tuple[int, Bound, float]:
    """N for this option, what bound it, and gain minus the price of the time."""
    n, bound = min(bounds(option, budget, limits), key=lambda pair: pair[0])
    seconds = np.zeros(n) if option.seconds is None else option.seconds[:n]
    value = option.gain[:n] - cost * seconds
    if limits.requested is None and option.seconds is not None and bound not in ("trust", "no_reward"):
        best = int(np.argmax(value)) + 1
        if best < n:
            n, bound = best, "value"
    return n, bound, float(value[n - 1])


def bounds(option: Option, budget: Budget, limits: PlanLimits) -> list[tuple[int, Bound]]:
    """Every limit on N, with its name."""
    caps = _caps(option, budget, limits)
    if limits.deadline_s is not None and option.seconds is not None:
        caps.append((max(1, _fits(option, limits)), "deadline"))
    return caps


def _caps(option: Option, budget: Budget, limits: PlanLimits) -> list[tuple[int, Bound]]:
    """Every limit on N but the deadline, with its name."""
    caps: list[tuple[int, Bound]] = []
    if limits.requested is not None:
        caps.append((limits.requested, "requested"))
    else:
        if option.seconds is None:
            caps.append((MODE_CANDIDATES[budget.mode], "mode"))
        if not limits.scored:
            caps.append((1, "no_reward"))
        elif not limits.trusted:
            caps.append((DISTRUSTED_CANDIDATES, "trust"))
        if budget.energy not in (None, "mains"):
            caps.append((SAVER_CANDIDATES if budget.energy == "saver" else BATTERY_CANDIDATES, "energy"))
        if limits.hot:
            caps.append((HOT_CANDIDATES, "heat"))
    caps.append((min(budget.max_candidates or MAX_CANDIDATES, len(option.gain)), "max_candidates"))
    if option.width is not None:
        caps.append((max(1, option.width), "memory"))
    return caps
