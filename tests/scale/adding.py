"""Workers for the tests of places: they add, refuse and die."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from edge_ttp.errors import InvalidInput


@dataclass(frozen=True)
class Adding:
    """A worker that adds to its tasks, kills its process where it is told to, and refuses the number 13."""

    number: int
    deadly: Path | None = None

    def __call__(self) -> Adding:
        return Adder(self.number, self.deadly)

    def close(self) -> None:
        pass


class Adder(Adding):
    def __call__(self, task: int) -> int:  # type: ignore[override]
        if task == 13:
            raise InvalidInput("13 brings bad luck", "take another")
        if self.deadly is not None and task % 5 == 4 and not (mark := self.deadly / str(task)).exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return task + self.number


class Dying(Adding):
    def __call__(self) -> Dying:
        return Fatal(0)


class Fatal(Dying):
    def __call__(self, task: int) -> int:  # type: ignore[override]
        os.kill(os.getpid(), signal.SIGKILL)
        return 0
