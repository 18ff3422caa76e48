"""What a kind of hostile input is made of."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

FaultName = Literal["death", "traceback", "late", "memory", "wrong"]


@dataclass(frozen=True)
class Case:
    """One bad input and the call that is given it."""

    what: str
    """What is wrong with it, in a few words."""
    call: Callable[[], object]
    """Returns (an answer) or raises an EdgeTTPError (a refusal); anything else is a fault."""


class Kind(Protocol):
    """Makes bad inputs of one kind. Made once in each worker by `open(home)`; `home` is an empty folder."""

    @property
    def deadline_s(self) -> float:
        """Seconds within which a call has to be back; 2 more are tolerated."""

    @property
    def budget_bytes(self) -> int:
        """Bytes that the policy may take; the calling process and its children may take 1 GB more."""

    def case(self, chance: random.Random, folder: Path) -> Case:
        """A bad input that depends on `chance` alone, its files in the empty `folder`."""


class Fault(Exception):
    """Raised by a call that itself found something broken."""

    def __init__(self, name: FaultName, words: str) -> None:
        self.name: FaultName = name
        self.words = " ".join(words.split())[:400]
        super().__init__(f"{name}: {self.words}")
