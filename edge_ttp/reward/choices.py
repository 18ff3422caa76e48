"""The likelihood of judgments without a label: logistic for good or bad, softmax for the best of a pool.

Logits are linear in some coefficients: of the weights for the posterior, of ease and grip for a user's habit. All
judgments are gone through at once, because an update must take milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import pi, sqrt
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
EvidenceKind = Literal["written", "edit", "accept", "reject", "prefer", "copied", "regenerated"]
KINDS: tuple[EvidenceKind, ...] = get_args(EvidenceKind)

GOOD: frozenset[EvidenceKind] = frozenset({"accept", "copied"})
"""Kinds that say that the candidate was good enough."""

_STEPS = 50
_SETTLED = 1e-10


@dataclass(frozen=True)
class Evidence:
    """One pool of candidates and what the user's behaviour says of them."""

    kind: EvidenceKind
    features: Floats
    """(N, D) last-layer features, centred within the pool."""
    noise: Floats
    """(N,) learned noise variance of each difference, above 0."""
    utility: Floats | None = None
    """(N,) agreement of each candidate with what the user wrote; for labelled kinds."""
    candidate: int = 0
    """The candidate that was judged; for the other kinds."""


def scaled(evidence: Evidence) -> Floats:
    """(N, D) features in units of the learned noise: scores times these weights are logits.

    prefer: Gumbel noise of the learned spread (the softmax choice model, McFadden 1974). The others: logistic noise.
    """
    if evidence.kind == "prefer":
        return np.asarray(evidence.features / (sqrt(float(evidence.noise.mean())) * sqrt(6) / pi), dtype=np.float64)
    return np.asarray(evidence.features / (np.sqrt(evidence.noise) * sqrt(3) / pi)[:, None], dtype=np.float64)


@dataclass(frozen=True)
class _Best:
    """Judgments `prefer` on pools of one size."""

    rows: Ints
    """(M,) their places in the evidence."""
    columns: Floats
    """(M, N, K)."""
    base: Floats
    """(M, N)."""
    picked: Ints
    """(M,)."""


@dataclass(frozen=True)
class Choices:
    """All judgments of some evidence, ready to be gone through at once."""

    rows: Ints
    """(M,) places in the evidence of the judgments good or bad."""
    columns: Floats
    """(M, K), with the sign of the judgment."""
    base: Floats
    """(M,) logits at coefficients 0, with the sign of the judgment."""
    best: tuple[_Best, ...]

    @classmethod
    def of(
        cls, evidence: Sequence[Evidence], size: int, logits: Callable[[Evidence], tuple[Floats, Floats]]
    ) -> Choices:
        """`logits` gives a judgment's columns (N, size) and its base (N,)."""
        signed: list[tuple[int, Floats, float]] = []
        groups: dict[int, list[tuple[int, Floats, Floats, int]]] = {}
        for at, one in enumerate(evidence):
            if one.utility is not None:
                continue
            columns, base = logits(one)
            if one.kind == "prefer":
                groups.setdefault(len(base), []).append((at, columns, base, one.candidate))
            else:
                sign = 1.0 if one.kind in GOOD else -1.0
                signed.append((at, sign * columns[one.candidate], sign * float(base[one.candidate])))
        best = [
            _Best(
                np.array([each[0] for each in group], dtype=np.int64),
                np.stack([each[1] for each in group]),
                np.stack([each[2] for each in group]),
                np.array([each[3] for each in group], dtype=np.int64),
            )
            for _, group in sorted(groups.items())
        ]
        return cls(
            np.array([each[0] for each in signed], dtype=np.int64),
            np.array([each[1] for each in signed], dtype=np.float64).reshape(len(signed), size),
            np.array([each[2] for each in signed], dtype=np.float64),
            tuple(best),
        )

    def __len__(self) -> int:
        return len(self.rows) + sum(len(one.rows) for one in self.best)

    def log_likelihoods(self, at: Floats, count: int) -> Floats:
        """(count,) log-likelihoods at coefficients (K,), or at each one's own (count, K); 0 for labelled pools."""
        likelihoods = np.zeros(count)
        own = at.ndim == 2
        score = self.base + (np.einsum("mk,mk->m", self.columns, at[self.rows]) if own else self.columns @ at)
        likelihoods[self.rows] = -np.logaddexp(0.0, -score)
        for group in self.best:
            moved = (
                np.einsum("mnk,mk->mn", group.columns, at[group.rows])
                if own
                else np.einsum("mnk,k->mn", group.columns, at)
            )
            scores = group.base + moved
            scores -= scores.max(axis=1, keepdims=True)
            picked = scores[np.arange(len(scores)), group.picked]
            likelihoods[group.rows] = picked - np.log(np.exp(scores).sum(axis=1))
        return likelihoods

    def derivatives(self, at: Floats, weight: Floats) -> tuple[Floats, Floats]:
        """Gradient (K,) and negative curvature (K, K) of the weighted log-likelihood at `at`."""
        score = self.base + self.columns @ at
        wrong = 1 / (1 + np.exp(np.clip(score, -500.0, 500.0)))
        share = weight[self.rows]
        gradient = np.einsum("m,mk->k", share * wrong, self.columns)
        curvature = np.einsum("m,mk,ml->kl", share * wrong * (1 - wrong), self.columns, self.columns)
        for group in self.best:
            scores = group.base + np.einsum("mnk,k->mn", group.columns, at)
            chance = np.exp(scores - scores.max(axis=1, keepdims=True))
            chance /= chance.sum(axis=1, keepdims=True)
            mean = np.einsum("mn,mnk->mk", chance, group.columns)
            centred = group.columns - mean[:, None, :]
            share = weight[group.rows]
            picked = group.columns[np.arange(len(mean)), group.picked]
            gradient = gradient + np.einsum("m,mk->k", share, picked - mean)
            weighted = (centred * (share[:, None] * chance)[:, :, None]).reshape(-1, len(at))
            curvature = curvature + weighted.T @ centred.reshape(-1, len(at))
        return gradient, curvature


def mode(choices: Choices, weight: Floats, precision: Floats, moment: Floats, start: Floats) -> tuple[Floats, Floats]:
    """Where `-x' precision x / 2 + moment' x + log-likelihood` is largest, and the precision there (Laplace).

    It is concave: Newton's method with halved steps.
    """

    def value_at(at: Floats) -> float:
        likelihood = float(weight @ choices.log_likelihoods(at, len(weight)))
        return likelihood + float(moment @ at) - 0.5 * float(at @ precision @ at)

    at, value, curvature = start, value_at(start), precision
    for _ in range(_STEPS):
        slope, bend = choices.derivatives(at, weight)
        curvature = precision + bend
        move = np.linalg.solve(curvature, slope + moment - precision @ at)
        size = 1.0
        while size > 1e-6 and (new := value_at(at + size * move)) < value:
            size /= 2
        if size <= 1e-6 or new - value < _SETTLED:
            break
        at, value = at + size * move, new
    return at, curvature
