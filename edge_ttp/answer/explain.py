"""What a request would get on this device, without running it: the plan, and gain and time by number of candidates."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_ttp.answer.ask import Ask, Rooms
from edge_ttp.answer.prepare import prepare
from edge_ttp.budget.planner import bounds
from edge_ttp.learning.calibration import Calibration
from edge_ttp.schema import Plan

CURVE_AT = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Numbers of candidates in the curve, beside the plan's own."""


@dataclass(frozen=True)
class PlanPoint:
    """What so many candidates are expected to gain and to take."""

    n: int
    gain: float
    """Expected utility above one candidate's, put in the best way."""
    seconds: float | None
    """For the whole call from the plan on; None before anything was measured."""
    value: float | None
    """Gain less the price of the time."""


@dataclass(frozen=True)
class Explanation:
    """A plan, how it came about, and what it stands on."""

    plan: Plan
    curve: tuple[PlanPoint, ...]
    limits: dict[str, int]
    """Every limit on the number of candidates, by what makes it."""
    price: float
    """Utility units per second."""
    calibration: Calibration
    energy: str
    free_cores: int
    threads: tuple[int, int] | None
    """For reading the prompt and for drawing."""
    hot: bool
    prepared_s: float
    """Seconds that recall and planning took."""
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        record = self.calibration
        return {
            "plan": self.plan.model_dump(mode="json"),
            "curve": [vars(point) for point in self.curve],
            "limits": self.limits,
            "price": self.price,
            "calibration": {
                "rho": record.rho,
                "rho_sd": record.rho_sd,
                "spread": record.spread,
                "slope": record.slope,
                "queries": record.queries,
                "trusted": record.trusted,
            },
            "energy": self.energy,
            "free_cores": self.free_cores,
            "threads": None if self.threads is None else {"prefill": self.threads[0], "decode": self.threads[1]},
            "hot": self.hot,
            "prepared_s": self.prepared_s,
            "notes": list(self.notes),
        }


def explain(rooms: Rooms, ask: Ask) -> Explanation:
    """The plan for `ask` and the reasons for it. Draws nothing and records nothing."""
    began = time.monotonic()
    deadline = None if ask.budget.deadline_s is None else began + ask.budget.deadline_s
    prepared = prepare(rooms, ask, deadline)
    took = time.monotonic() - began
    planned, option = prepared.planned, prepared.planned.option
    places = sorted({n for n in (*CURVE_AT, planned.n) if n <= len(option.gain)})
    curve = []
    for n in places:
        gain = float(option.gain[n - 1])
        seconds = None if option.seconds is None else float(option.seconds[n - 1])
        curve.append(PlanPoint(n, gain, seconds, None if seconds is None else gain - planned.price * seconds))
    limits: dict[str, int] = dict(
        sorted(((name, n) for n, name in bounds(option, prepared.budget, prepared.limits)), key=lambda pair: pair[1])
    )
    if option.seconds is not None:
        limits["value"] = int(np.argmax(option.gain - planned.price * option.seconds)) + 1
    return Explanation(
        plan=prepared.plan,
        curve=tuple(curve),
        limits=limits,
        price=planned.price,
        calibration=prepared.recollection.calibration,
        energy=prepared.budget.energy or rooms.energy,
        free_cores=rooms.free_cores,
        threads=None if rooms.costs is None else rooms.costs.threads(rooms.free_cores),
        hot=rooms.hot,
        prepared_s=took,
        notes=prepared.notes,
    )
