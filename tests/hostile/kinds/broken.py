"""Calls that break in every way the run knows: the test of the run itself. Not in KINDS."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from edge_ttp.errors import InvalidInput

from ..case import Case, Fault


def _refuse() -> None:
    raise InvalidInput("no", "another")


def _wrong() -> None:
    raise Fault("wrong", "a row is gone")


def _memory() -> None:
    held = bytearray(1100 << 20)
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(0.5)


_CALLS: dict[str, Callable[[], object]] = {
    "answered": lambda: 1,
    "refused": _refuse,
    "death": os.abort,
    "traceback": lambda: {}["missing"],
    "wrong": _wrong,
    "memory": _memory,
    "late": lambda: time.sleep(2.6),
}


class _Broken:
    deadline_s = 60.0
    budget_bytes = 0

    def case(self, chance: random.Random, folder: Path) -> Case:
        """The numbers of the cases are the places in _CALLS."""
        number = int(folder.name.removeprefix("case-"))
        what = list(_CALLS)[number]
        self.deadline_s = 0.5 if what == "late" else 60.0  # only the late one is, however busy the machine
        return Case(what, _CALLS[what])


def open(home: Path) -> _Broken:
    return _Broken()
