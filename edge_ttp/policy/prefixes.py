"""Prompts that were read, kept as states of the cache beside it: several users' and conversations', the newest ones.

A state holds what a user wrote. It belongs to exactly one user, is found by nobody else's requests, and goes with them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ttp.policy.memory import CacheType
from edge_ttp.policy.reading import Tokens, alike

WORTH = 32
"""Tokens from which a state is worth keeping: fewer are read as fast as a state is put back."""


class ReadWith(NamedTuple):
    """What a state depends on besides its tokens and the model."""

    adapters: tuple[tuple[str, float], ...] = ()
    """SHA-256 and scale of each."""
    cache_type: CacheType = "f16"


@dataclass(frozen=True, eq=False)
class Prefix:
    """A prompt, or its beginning, that was read for one user."""

    owner: str
    read_with: ReadWith
    tokens: Tokens
    state: npt.NDArray[np.uint8]
    """As llama.cpp gives it."""
    after: npt.NDArray[np.float32] | None = None
    """Logits after the last token (vocabulary,), where they are known."""

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return self.state.nbytes + self.tokens.nbytes + (0 if self.after is None else self.after.nbytes)

    def covers(self, other: Prefix) -> bool:
        """Whether nothing is lost without the other one."""
        if (self.owner, self.read_with) != (other.owner, other.read_with) or len(self.tokens) < len(other.tokens):
            return False
        known = other.after is None or (len(self.tokens) == len(other.tokens) and self.after is not None)
        return known and alike(self.tokens, other.tokens) == len(other.tokens)


class Prefixes:
    """The states of one policy in memory; the least recently used go first. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[Prefix] = []  # the least recently used first

    @property
    def size(self) -> int:
        """Bytes that all of them take."""
        with self._lock:
            return sum(one.size for one in self._kept)

    def __len__(self) -> int:
        """How many there are."""
        with self._lock:
            return len(self._kept)

    def find(self, owner: str, read_with: ReadWith, prompt: Sequence[int]) -> tuple[Prefix | None, int]:
        """The owner's state that shares most with the prompt, and how many tokens; of equal ones the one that knows
        what comes after them, then the newest.
        """
        with self._lock:
            mine = [one for one in self._kept if one.owner == owner and one.read_with == read_with]
        tokens = np.asarray(prompt, dtype=np.int32)
        best, most = None, (0, False)
        for one in mine:
            shared = alike(one.tokens, tokens)
            found = shared, one.after is not None and shared == len(tokens) == len(one.tokens)
            if shared and found >= most:
                best, most = one, found
        return best, most[0]

    def holds(self, owner: str, read_with: ReadWith, prompt: Sequence[int]) -> bool:
        """Whether a state of the whole prompt is there, with what comes after it. It then counts as used."""
        best, shared = self.find(owner, read_with, prompt)
        if best is None or not shared == len(prompt) == len(best.tokens) or best.after is None:
            return False
        self.used(best)
        return True

    def used(self, prefix: Prefix) -> None:
        """Makes it the newest."""
        with self._lock:
            if prefix in self._kept:
                self._kept.remove(prefix)
                self._kept.append(prefix)

    def put(self, prefix: Prefix, *, most: int) -> None:
        """Keeps it within `most` bytes for all, in place of those that it covers; nothing happens if it is covered."""
        with self._lock:
            if prefix.size > most or any(one.covers(prefix) for one in self._kept):
                return
            self._kept = [one for one in self._kept if not prefix.covers(one)] + [prefix]
        self.shrink(most)

    def shrink(self, most: int) -> None:
        """Drops the least recently used until they take at most so many bytes."""
        with self._lock:
            size = sum(one.size for one in self._kept)
            while self._kept and size > most:
                size -= self._kept.pop(0).size

    def drop(self, prefix: Prefix) -> None:
        """Forgets one."""
        with self._lock:
            if prefix in self._kept:
                self._kept.remove(prefix)

    def forget(self, owner: str | None = None) -> None:
        """Overwrites and drops those of one user, or all (None)."""
        with self._lock:
            gone = [one for one in self._kept if owner is None or one.owner == owner]
            self._kept = [one for one in self._kept if one not in gone]
        for one in gone:
            one.state[:] = 0
            one.tokens[:] = 0
            if one.after is not None:
                one.after[:] = 0
