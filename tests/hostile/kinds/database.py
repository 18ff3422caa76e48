"""Histories with random rows, random changes of their tables, and flipped bits: used, repaired, restored from."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from history.test_repair import hostile_repair
from history.test_sieve import hostile

from ..case import Case, Fault


@dataclass(frozen=True)
class Databases:
    """Makes such histories."""

    deadline_s: float = 20.0
    budget_bytes: int = 0

    def case(self, chance: random.Random, folder: Path) -> Case:
        """One history, opened and used, or repaired and restored from."""
        seed = chance.randrange(2**32)
        act = chance.choice((hostile, hostile_repair))

        def call() -> object:
            try:
                return act(folder / "data" / "history.db", seed)
            except AssertionError as broken:
                raise Fault("wrong", str(broken)) from broken

        return Case(f"{act.__name__} {seed}", call)


def open(home: Path) -> Databases:
    """The kind."""
    return Databases()
