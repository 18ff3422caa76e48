"""The file's pools as cells: one task, one policy, one variant, and what its score gains over a random pick."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp.lab.reproduction.score_file import PARTS, ScoreFile, ScoreSet
from edge_ttp.scaling import Pools, oracle_of_n

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

EVERYBODY = tuple(PARTS)
REPORT = ("report",)
"""Users whom neither training nor tuning has seen: every number about how good a variant is comes from them."""


@dataclass(frozen=True)
class Cell:
    """One task, one policy, one variant: Q queries of some users."""

    task: str
    policy: str
    variant: str
    sizes: tuple[int, ...]
    pools: Pools
    """Utilities, and the scores in the whole pool."""
    user: Ints
    """(Q,) hashed ids of the users."""
    gain: Floats
    """(Q, sizes): utility picked among n candidates, above the pool's mean."""
    oracle: Floats
    """(Q, sizes): the same for the best of n, exactly."""

    def take(self, rows: Booleans) -> Cell:
        """The cell with some of its queries."""
        size = self.sizes[-1]
        utility, score = (column.reshape(-1, size)[rows] for column in (self.pools.utility, self.pools.score))
        return Cell(
            self.task,
            self.policy,
            self.variant,
            self.sizes,
            Pools.from_matrices(utility, score, numbered(self.user[rows])),
            self.user[rows],
            self.gain[rows],
            self.oracle[rows],
        )

    @property
    def share(self) -> Floats:
        """(sizes,) gain as a share of the oracle's, a ratio of sums over queries; NaN where there is none to gain."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.gain.sum(axis=0) / self.oracle.sum(axis=0), dtype=np.float64)


def cells(file: ScoreFile, parts: Sequence[str]) -> list[Cell]:
    """The cells of all sets and variants, of the users of these parts. Sets without such users have none."""
    return [cell for one in file.sets for cell in _of_set(one, parts)]


def _of_set(pools: ScoreSet, parts: Sequence[str]) -> Iterator[Cell]:
    rows = rows_of(pools, parts)
    if not rows.any():
        return
    mean = pools.utility[rows].mean(axis=1, keepdims=True)
    oracle = oracle_of_n(pools.utility[rows], pools.sizes) - mean
    for name, scored in pools.variants.items():
        yield Cell(
            pools.task,
            pools.policy,
            name,
            pools.sizes,
            Pools.from_matrices(pools.utility[rows], scored.score[rows], numbered(pools.user[rows])),
            pools.user[rows],
            scored.picked[rows] - mean,
            oracle,
        )


def rows_of(pools: ScoreSet, parts: Sequence[str]) -> Booleans:
    """(queries,) whether the query's user is of one of these parts."""
    return np.isin(pools.part, [PARTS.index(part) for part in parts])


def numbered(user: Ints) -> Ints:
    """Hashed ids as numbers from 0."""
    return np.unique(user, return_inverse=True)[1].astype(np.int64)


def together(many: Sequence[Pools]) -> Pools:
    """All of these pools as one; a user of two tasks counts as two."""
    users, first = [], 0
    for pools in many:
        users.append(pools.user + first)
        first += pools.users
    counts = np.concatenate([pools.size for pools in many])
    return Pools(
        np.concatenate([pools.utility for pools in many]),
        np.concatenate([pools.score for pools in many]),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.concatenate(users),
    )
