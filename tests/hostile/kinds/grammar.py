"""GBNF grammars: broken, endless, exponential."""

from __future__ import annotations

import random
from pathlib import Path

from ..case import Case


class _Grammars:
    deadline_s = 6.0
    budget_bytes = 0

    def case(self, chance: random.Random, folder: Path) -> Case:
        return Case("empty", lambda: None)


def open(home: Path) -> _Grammars:
    return _Grammars()
