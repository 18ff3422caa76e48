"""Scored pools as columns: which query each candidate answers, which user each query is of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput
from edge_ttp.scaling.correlation import QueryEvidence, correlate, gather, third_moment
from edge_ttp.scaling.curves import Ints, subset_weights
from edge_ttp.scaling.curves import best_of_n as _best_of_n
from edge_ttp.scaling.order_statistics import Floats

CURVE_SHARE = 0.9
"""Part of the informative queries whose pools must be large enough for a point of the curve."""

LONGEST_CURVE = 256
"""Largest n of a curve: more candidates than that are drawn for no request."""


@dataclass(frozen=True)
class Pools:
    """Candidates in the order of their queries. Finite numbers only."""

    utility: Floats
    """(candidates,)"""
    score: Floats
    """(candidates,)"""
    start: Ints
    """Place of each query's first candidate, and the number of candidates at the end: (queries + 1,), ascending."""
    user: Ints
    """Number of each query's user, from 0: (queries,)."""

    def __post_init__(self) -> None:
        if self.utility.shape != self.score.shape or len(self.start) != len(self.user) + 1:
            raise InvalidInput("utilities, scores and queries do not match", "give one of each per candidate")
        if len(self.start) and (self.start[-1] != len(self.utility) or (np.diff(self.start) < 1).any()):
            raise InvalidInput("a query has no candidates", "leave it out")

    @classmethod
    def of(cls, utility: Floats, score: Floats, query: Ints, user: Ints) -> tuple[Pools, Ints]:
        """Pools from candidates in any order: `query` is each candidate's, (candidates,), `user` each query's.

        Returns them with the order in which the candidates now stand. Queries without candidates must not occur.
        """
        order = np.argsort(query, kind="stable")
        count = np.bincount(query, minlength=len(user))
        start = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        return cls(utility[order], score[order], start, user), order

    @classmethod
    def from_matrices(cls, utility: Floats, score: Floats, user: Ints) -> Pools:
        """Pools of one size from (queries, N) matrices."""
        queries, size = utility.shape
        return cls(utility.ravel(), score.ravel(), np.arange(queries + 1, dtype=np.int64) * size, user)

    def __len__(self) -> int:
        return len(self.user)

    @property
    def size(self) -> Ints:
        """Candidates per query."""
        return np.diff(self.start)

    @property
    def users(self) -> int:
        """Number of users."""
        return int(self.user.max(initial=-1)) + 1

    def rescored(self, score: Floats) -> Pools:
        """The same pools with other scores, (candidates,)."""
        return replace(self, score=score)

    def blocks(self) -> Iterator[tuple[Ints, npt.NDArray[np.int64]]]:
        """For every pool size: the queries of that size, and the places of their candidates, (queries, size)."""
        size = self.size
        for one in np.unique(size):
            queries = np.flatnonzero(size == one)
            yield queries, self.start[queries, None] + np.arange(one)

    def skewness(self) -> Skewness:
        """How skewed scores and utilities are within a query, over queries of three candidates or more."""
        sums = np.zeros(4)
        for _, at in self.blocks():
            if at.shape[1] > 2:
                utility, score = self.utility[at], self.score[at]
                evidence = correlate(utility, score)
                of_utility, of_score = third_moment(utility), third_moment(score)
                reach = np.abs(evidence.reach_plain)
                sums += reach @ of_score, reach.sum(), evidence.weight @ of_utility, evidence.weight.sum()
        return Skewness(*(float(above / below) if below > 0 else np.nan for above, below in (sums[:2], sums[2:])))

    def evidence(self) -> QueryEvidence:
        """What each query's pool says."""
        return gather(
            [(queries, correlate(self.utility[at], self.score[at])) for queries, at in self.blocks()], len(self)
        )


@dataclass(frozen=True)
class Skewness:
    """Mean skewness within a query: 0 where good and bad candidates stand out alike. nan where nothing differs."""

    score: float
    """Queries weighted by the size of what their scores gain."""
    utility: float
    """Queries weighted by the spread of their utilities."""


@dataclass(frozen=True)
class Gains:
    """Gains over a random pick by size of the subset, summed over groups of queries: the curve's raw material."""

    n: Ints
    """1 .. the largest size that enough pools have, at most LONGEST_CURVE."""
    measured: Floats
    """Of the candidate with the largest score, (groups, n)."""
    oracle: Floats
    """Of the candidate with the largest utility, (groups, n)."""
    spaced: Floats
    """The law with the scores' own spacing: what correlations and spacing give, rho sigma x
    E[max of n of the pool's standardized scores], (groups, n)."""
    queries: Floats
    """How many queries count, (groups,)."""
    left_out: int
    """Informative queries whose pools are smaller than the curve."""

    def measured_as(self, n: Ints, measured: Floats) -> Gains:
        """The gains at some of the n, with other measured ones, (groups, len(n)): those of a rule that looks at the
        other candidates, which one ranking of the whole pool does not tell."""
        columns = np.searchsorted(self.n, n)
        return replace(self, n=n, measured=measured, oracle=self.oracle[:, columns], spaced=self.spaced[:, columns])


def gains(pools: Pools, evidence: QueryEvidence, group: Ints, groups: int) -> Gains:
    """The gains of the informative queries, summed by `group`, (queries,): users, or queries themselves."""
    informative = evidence.informative
    longest = longest_curve(evidence.size[informative])
    n = np.arange(1, longest + 1)
    shape = (groups, longest)
    measured, oracle, spaced, count = np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(groups)
    for queries, at in pools.blocks():
        keep = informative[queries] & (at.shape[1] >= longest)
        if not keep.any():
            continue
        chosen, places = queries[keep], at[keep]
        utility, score, owner = pools.utility[places], pools.score[places], group[chosen]
        mean = utility.mean(axis=1, keepdims=True)
        weights = subset_weights(at.shape[1], n).T
        spread = np.where(evidence.score_sd[chosen] > 0, evidence.score_sd[chosen], 1.0)[:, None]
        standard = np.sort((score - score.mean(axis=1, keepdims=True)) / spread, axis=1) @ weights
        np.add.at(measured, owner, _best_of_n(utility, score, n) - mean)
        np.add.at(oracle, owner, np.sort(utility, axis=1) @ weights - mean)
        np.add.at(spaced, owner, evidence.reach_plain[chosen, None] * standard)
        np.add.at(count, owner, 1.0)
    for gain in (measured, oracle, spaced):
        gain[:, 0] = 0.0  # one candidate is a random pick: free of rounding
    return Gains(n, measured, oracle, spaced, count, int(informative.sum() - count.sum()))


def longest_curve(size: Ints) -> int:
    """The largest n that CURVE_SHARE of the pools of these sizes have, at most LONGEST_CURVE; 1 without pools."""
    if not len(size):
        return 1
    ranked = np.sort(size)[::-1]
    return min(LONGEST_CURVE, int(ranked[min(int(np.ceil(CURVE_SHARE * len(size))), len(size)) - 1]))
