"""A scheduler on a fake clock whose jobs are held back, for the tests of it and of its jobs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edge_ttp.policy.job import Claim, Job, Priority, Steps
from edge_ttp.policy.scheduler import Scheduler

from .table import FakeClock


class Desk:
    """A scheduler on a fake clock, its jobs held back until `go`, and the order in which they took their steps."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.scheduler = Scheduler(clock=self.clock)
        self.taken: list[str] = []
        self._gate, holding = threading.Event(), threading.Event()
        self.scheduler.submit(lambda _: self._hold(holding), Claim(user="gate"))
        assert holding.wait(60)

    def _hold(self, holding: threading.Event) -> Steps[None]:
        yield from ()
        holding.set()
        assert self._gate.wait(60)

    def go(self) -> None:
        self._gate.set()

    def submit(
        self,
        name: str,
        steps: int,
        *,
        user: str = "",
        priority: Priority = "interactive",
        step_s: float = 1.0,
        expected_s: float | None = None,
        **options: object,
    ) -> Job[str]:
        def start(job: Job[str]) -> Steps[str]:
            for _ in range(steps):
                self.taken.append(name)
                self.clock.now += step_s
                yield None
            return name

        return self.scheduler.submit(start, Claim(user, priority, expected_s), **options)  # type: ignore[arg-type]


def until(fact: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < ends
        time.sleep(0.001)
