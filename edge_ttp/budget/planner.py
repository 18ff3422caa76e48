"""How many candidates a request gets, of what length, behind how many examples: a pure function of cost and worth.

Hard limits first: deadline, memory, the caller's and the device's caps. Within them the fullest prompt, and the N with
the largest expected gain minus the price of its time. Batched time is not convex in N, so all N are compared.
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


@dataclass(frozen=True)
class PlanStep:
    """One step on the way to a full plan."""

    option: Option
    n: int
    seconds: float
    """Predicted for this step, and for none before it more."""


def plan(options: Sequence[Option], budget: Budget, limits: PlanLimits) -> Planned:
    """The fullest option with the N that is worth its time; under a deadline as much of it as the deadline holds.

    Examples and length are never given up for time where there is no deadline. Under one the plan is the last step of
    `path` that fits: more time never means less of anything, and a deadline that the full plan meets changes nothing.
    A caller's own N is kept unless the deadline or the memory forbid it. Where nothing fits the deadline, the quickest
    option is tried with one candidate: it ends when the deadline does.
    """
    cost = price(budget, hot=limits.hot)
    full = max(options, key=lambda option: (option.examples, option.longest))
    n, bound = _best_n(full, budget, limits, cost)
    option, most = full, min(cap for cap, _ in _caps(full, budget, limits))
    notes: list[str] = []
    if limits.deadline_s is not None and _seconds(full, n) > limits.deadline_s:
        fitting = [step for step in path(options, full, n) if step.seconds <= limits.deadline_s]
        if not fitting:
            option = min(options, key=lambda one: 0.0 if one.seconds is None else float(one.seconds[0]))
            n, bound = 1, "deadline"
            notes.append("even one candidate may not fit the deadline; it ends when the deadline does")
        else:
            option = fitting[-1].option
            n, bound = (n, bound) if fitting[-1].n == n else (fitting[-1].n, "deadline")
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


def path(options: Sequence[Option], full: Option, n: int) -> list[PlanStep]:
    """From the least way to put the request to `full` with n candidates, in steps of which none takes anything away.

    Each step adds examples, length or candidates: what gains most per second. It does not depend on any deadline.
    """
    within = [one for one in options if one.examples <= full.examples and one.longest <= full.longest]
    option = min(within, key=lambda one: (one.examples, one.longest))
    steps = [PlanStep(option, 1, _seconds(option, 1))]
    while option is not full or steps[-1].n < n:
        have = steps[-1].n
        ways = [(one, have) for one in within if one is not option and _holds(one, option)]
        ways += [(option, count) for count in range(have + 1, n + 1)]
        gained, took = float(option.gain[have - 1]), _seconds(option, have)
        option, reached = max(
            ways,
            key=lambda way: (float(way[0].gain[way[1] - 1]) - gained) / max(1e-9, _seconds(*way) - took),
        )
        for count in range(min(have + 1, reached), reached + 1):
            steps.append(PlanStep(option, count, max(steps[-1].seconds, _seconds(option, count))))
    return steps


def _holds(option: Option, less: Option) -> bool:
    return option.examples >= less.examples and option.longest >= less.longest


def _seconds(option: Option, n: int) -> float:
    return 0.0 if option.seconds is None else float(option.seconds[n - 1])


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


def _best_n(option: Option, budget: Budget, limits: PlanLimits, cost: float) -> tuple[int, Bound]:
    """N for this option where nothing hurries, and what bound it."""
    n, bound = min(_caps(option, budget, limits), key=lambda pair: pair[0])
    if limits.requested is None and option.seconds is not None and bound not in ("trust", "no_reward"):
        best = int(np.argmax(option.gain[:n] - cost * option.seconds[:n])) + 1
        if best < n:
            return best, "value"
    return n, bound


def _fits(option: Option, limits: PlanLimits) -> int:
    """How many candidates of this option the deadline holds."""
    if limits.deadline_s is None or option.seconds is None:
        return len(option.gain)
    return int(np.sum(np.maximum.accumulate(option.seconds) <= limits.deadline_s))


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
