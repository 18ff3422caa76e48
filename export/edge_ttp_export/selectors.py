"""Ways to choose one candidate of a pool: what the model is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from edge_ttp.reward.features import FEATURES, with_pool
from edge_ttp_export.examples import LabelledPool

Floats = npt.NDArray[np.float64]
Rank = Callable[[LabelledPool, Sequence[int]], Floats]
"""Scores (n,) of the candidates named, which see only each other; the largest is chosen."""


def untrained() -> Mapping[str, Rank]:
    """Rules that need no training, by name."""
    return {
        "first": lambda pool, rows: -np.arange(len(rows), dtype=np.float64),
        "longest": lambda pool, rows: np.array([pool.encoded.candidates[row].tokens for row in rows], dtype=np.float64),
        "logprob": _column("logprob_per_token"),
        "consensus": _column("consensus"),
        "input": _column("input_cosine"),
        "history": _column("user_cosine"),
        "sum": _sum,
    }


def oracle(pool: LabelledPool, rows: Sequence[int]) -> Floats:
    """The true utilities: the best that any rule can do."""
    return np.asarray(pool.utility[list(rows)])


def _column(name: str) -> Rank:
    place = FEATURES.index(name)
    return lambda pool, rows: _table(pool, rows)[:, place].astype(np.float64)


def _sum(pool: LabelledPool, rows: Sequence[int]) -> Floats:
    """Consensus, similarity to the input and to the user's past outputs: the sum of their z-scores in the pool."""
    table = _table(pool, rows)
    columns = [table[:, FEATURES.index(name)] for name in ("consensus", "input_cosine", "user_cosine")]
    return np.asarray(sum((column - column.mean()) / (column.std() + 1e-9) for column in columns), dtype=np.float64)


def _table(pool: LabelledPool, rows: Sequence[int]) -> npt.NDArray[np.float32]:
    part = pool.encoded.take(rows)
    return with_pool(pool.table[list(rows)], part.similarity, part.vectors)
