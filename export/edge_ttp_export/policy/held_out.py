"""What an export is calibrated on and what it is judged on: never the same items.

Of every user's items, oldest first, the last third is held out for the gates. The importance matrix sees only the
first two thirds, whatever file they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.passages import Pair, file_pairs, sample_pairs
from edge_ttp.samples import SAMPLE_USERS

_SHARE = 3  # one item of so many is held out
MIN_ITEMS = 9
"""Fewest items of a user who counts: three of them are then held out."""


@dataclass(frozen=True)
class HeldOutQuery:
    """One held-out item, and what its user wrote before the first of them."""

    user: str
    prompt: str
    written: str
    earlier: tuple[Pair, ...]


@dataclass(frozen=True)
class Texts:
    """The items of some users, split."""

    name: str
    users: tuple[tuple[Pair, ...], ...]
    """Oldest first."""

    @property
    def earlier(self) -> list[list[Pair]]:
        """The first two thirds, by user."""
        return [list(items[: _cut(items)]) for items in self.users]

    @property
    def held_out(self) -> list[list[Pair]]:
        """The last third, by user."""
        return [list(items[_cut(items) :]) for items in self.users]

    def queries(self, count: int) -> list[HeldOutQuery]:
        """At most `count` held-out items, the users in turns, each with the newest first."""
        found = []
        for back in range(1, max(len(items) for items in self.users) // _SHARE + 1):
            for index, items in enumerate(self.users):
                if back <= len(items) - _cut(items):
                    given, written = items[-back]
                    found.append(HeldOutQuery(f"user-{index}", given, written, items[: _cut(items)]))
        return found[:count]


def read_texts(path: Path | None, user: str | None = None) -> Texts:
    """The items in the JSONL file `path`, or without one those of the sample histories; of one user if named.

    Raises InvalidInput.
    """
    if path is not None:
        users = file_pairs(path, user)
    elif user is not None and user not in SAMPLE_USERS:
        raise InvalidInput(f"there is no sample history of {user!r}", f"choose {' or '.join(SAMPLE_USERS)}")
    else:
        users = [pairs for name, pairs in zip(SAMPLE_USERS, sample_pairs(), strict=True) if user in (None, name)]
    enough = tuple(tuple(items) for items in users if len(items) >= MIN_ITEMS)
    name = (path.name if path is not None else "sample histories") + (f", user {user}" if user is not None else "")
    if not enough:
        raise InvalidInput(f"no user of {name} has {MIN_ITEMS} items", "give a file with more of one user's text")
    return Texts(name, enough)


def _cut(items: Sequence[Pair]) -> int:
    return len(items) - len(items) // _SHARE
