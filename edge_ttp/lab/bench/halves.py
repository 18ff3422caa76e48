"""Queries with one half of their user's history hidden: what recall and judge may see, and what a verifier keeps.

A text that is copied from what was recalled would sound like its user by copying alone. So every user's history is cut
in two: of the user's newest items, which are asked again, every other one sees the one half, the rest the other, and
the voice of an answer is measured against the half that neither recall nor judge saw (cross-fitting).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import numpy as np

from edge_ttp.lab.bench.corpus import MIN_HISTORY, Query, read_users, task_file
from edge_ttp.lab.bench.voice_score import Floats, content_counts, style_counts
from edge_ttp.schema import HistoryItem

Items = Mapping[str, Sequence[HistoryItem]]
"""Items by user, oldest first."""

EACH = 8
"""Queries of one user: bags of fewer answers say little about a voice."""
STRANGERS = 8
"""Other users whose history may stand in for the user's own."""
LONGEST_HALF = 64
"""Newest items of a half that are used."""


@dataclass(frozen=True)
class Halved:
    """One query that sees one half of its user's history."""

    query: Query
    """As `edge_ttp.lab.bench.drawing` takes it. Its user's name ends with the half, since each is a history apart."""
    user: str
    half: int
    """Which half it sees, 0 or 1."""
    strangers: tuple[Query, ...]
    """The same item with as many items of another user in the place of the history, farthest in style first."""

    @property
    def without(self) -> Query:
        """The same item without a history."""
        return replace(self.query, history=())


def halves(items: Sequence[HistoryItem]) -> tuple[tuple[HistoryItem, ...], tuple[HistoryItem, ...]]:
    """Items taken in turns, the newest LONGEST_HALF of each turn, oldest first."""
    return tuple(items[0::2][-LONGEST_HALF:]), tuple(items[1::2][-LONGEST_HALF:])


def halved_queries(
    folder: Path, tasks: Sequence[str], *, tenths: Sequence[int], users: int, each: int = EACH
) -> list[Halved]:
    """The newest `each` items of at most `users` users of every task, whole users one after another, tasks in turns.

    Users have `each` items and 2 MIN_HISTORY earlier ones at least. A larger `users` only adds to a smaller one. Raises
    InvalidInput for a task that the folder lacks, and for a line that is no item.
    """
    lines = [list(_of_task(task, _able(folder, task, tenths, each), users, each)) for task in tasks]
    return [one for turn in zip_longest(*lines) for block in turn if block is not None for one in block]


def earlier(
    folder: Path, task: str, *, tenths: Sequence[int], each: int = EACH
) -> dict[str, tuple[list[str], list[str]]]:
    """Both halves of what every able user of a task wrote before the items that are asked: user -> (half, half)."""
    found = {}
    for user, items in _able(folder, task, tenths, each).items():
        first, second = halves(items[:-each])
        found[user] = ([one.output for one in first], [one.output for one in second])
    return found


def _able(folder: Path, task: str, tenths: Sequence[int], each: int) -> dict[str, list[HistoryItem]]:
    found = read_users(task_file(folder, task), tenths=tenths)
    whole = {user: [one for one in items if one.output.strip() and one.input.strip()] for user, items in found.items()}
    return {user: items for user, items in whole.items() if len(items) >= each + 2 * MIN_HISTORY}


def _of_task(task: str, able: Items, users: int, each: int) -> Iterator[list[Halved]]:
    # Any order that does not depend on the file's: users who stand together in it may be alike.
    names = sorted(able, key=lambda name: hashlib.sha256(f"turn {name}".encode()).digest())
    old = {name: items[:-each] for name, items in able.items()}
    likeness = Likeness(old)
    for name in names[:users]:
        split = halves(old[name])
        others = likeness.far_in_style(name, len(split[0]))
        block = []
        for number, item in enumerate(able[name][-each:]):
            half = number % 2
            visible = split[half]
            place = len(able[name]) - each + number
            owner = f"{name}/{half}"
            asked = Query(task, item.model_copy(update={"user_id": owner}), place, visible)
            block.append(
                Halved(asked, name, half, tuple(_instead(asked, old[other], rank) for rank, other in enumerate(others)))
            )
        yield block


def _instead(asked: Query, items: Sequence[HistoryItem], rank: int) -> Query:
    """The query with a stranger's newest items, as many and of the same moments as the user's own."""
    shown = items[-len(asked.history) :]
    moments = [one.created_at for one in asked.history][-len(shown) :]
    dated = tuple(one.model_copy(update={"created_at": moment}) for one, moment in zip(shown, moments, strict=True))
    item = asked.item.model_copy(update={"user_id": f"{asked.item.user_id}/as {rank}"})
    return Query(asked.task, item, asked.place, dated)


class Likeness:
    """Who of a task's users is like whom: in subject, what words are about, and in style, everything else."""

    def __init__(self, old: Items) -> None:
        """`old`: what each user wrote."""
        texts = {user: [item.output for item in items[-LONGEST_HALF:]] for user, items in sorted(old.items())}
        self._count = {user: len(items) for user, items in sorted(old.items())}
        self._subject, self._style = content_counts(texts), style_counts(texts)

    def far_in_style(self, user: str, needed: int, count: int = STRANGERS) -> list[str]:
        """Users far from this one in style, of those nearest in subject: at most `count`, the farthest first.

        Of users with at least `needed` items, or of all where those are too few, the half nearest in subject is
        considered.
        """
        others = [one for one in self._count if one != user and self._count[one] >= needed]
        if len(others) < count:
            others = [one for one in self._count if one != user]
        subject, style = self._subject, self._style
        near = sorted(others, key=lambda one: -_cosine(subject[user], subject[one]))[: max(count, len(others) // 2)]
        return sorted(near, key=lambda one: (_cosine(style[user], style[one]), one))[:count]


def _cosine(one: Floats, other: Floats) -> float:
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / size if size else 0.0
