"""Best-of-n curves for every n up to the size of the pool, from one pool per query, without bias.

For a score that ignores the other candidates the mean over all subsets of size n is a weighted mean of the pool's
ranked utilities: the candidate of rank i (1 the lowest) is the best of a random subset with probability
C(i-1, n-1) / C(N, n). Tied candidates share their weights evenly, as a fair choice among them would.
A rule that looks at the other candidates (consensus, shrinkage, pool features) has to score every subset anew:
`curve_of_rule` does that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput
from edge_ttp.scaling.order_statistics import Floats, expected_maximum, harmonic

Ints = npt.NDArray[np.int64]

Rule = Callable[[Ints], Floats]
"""Scores of a subset of the pool, (n,), given the places of its members in the pool, (n,)."""


def subset_weights(size: int, n: Sequence[int] | Ints | None = None) -> Floats:
    """Probability that each rank is the best of a random subset of n out of `size`, (len(n), size); rank 1 first.

    `n` defaults to 1 .. size. Products of ratios below 1: nothing overflows, and what underflows is 0.
    """
    sizes = np.arange(1, size + 1) if n is None else np.asarray(n, dtype=np.int64)
    if size < 1 or (sizes.size and (sizes.min() < 1 or sizes.max() > size)):
        raise InvalidInput(f"a pool of {size} has no subsets of that size", f"choose n from 1 to {size}")
    rank = np.arange(size, 1, -1, dtype=np.float64)
    ratios = np.maximum(rank - sizes[:, None], 0.0) / (rank - 1)  # weight of rank i-1 over that of rank i
    falling = np.concatenate([np.ones((len(sizes), 1)), np.cumprod(ratios, axis=1)], axis=1)
    return np.asarray((sizes[:, None] / size * falling)[:, ::-1], dtype=np.float64)


def best_of_n(utilities: Floats, scores: Floats, n: Sequence[int] | Ints | None = None) -> Floats:
    """Expected utility of the candidate with the largest score in a random subset of n, (queries, len(n)).

    `utilities` and `scores` are (queries, N), finite; one query may be given as (N,) and gives (len(n),). The score
    must not depend on the other candidates.
    """
    utility, score = np.asarray(utilities, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if utility.shape != score.shape or utility.ndim not in (1, 2) or utility.shape[-1] < 1:
        raise InvalidInput(f"{utility.shape} utilities and {score.shape} scores do not match", "give one of each")
    single = utility.ndim == 1
    if single:
        utility, score = utility[None], score[None]
    ranked = _ranked(utility, score) @ subset_weights(utility.shape[1], n).T
    return np.asarray(ranked[0] if single else ranked, dtype=np.float64)


def oracle_of_n(utilities: Floats, n: Sequence[int] | Ints | None = None) -> Floats:
    """Expected largest utility in a random subset of n: (queries, N) -> (queries, len(n)), or (N,) -> (len(n),)."""
    utility = np.asarray(utilities, dtype=np.float64)
    return np.asarray(np.sort(utility, axis=-1) @ subset_weights(utility.shape[-1], n).T, dtype=np.float64)


def _ranked(utility: Floats, score: Floats) -> Floats:
    """Utilities in ascending order of score, the mean of the tied ones in place of each of them."""
    order = np.argsort(score, axis=1, kind="stable")
    utility = np.take_along_axis(utility, order, axis=1)
    score = np.take_along_axis(score, order, axis=1)
    new = np.ones(score.shape, dtype=bool)
    new[:, 1:] = score[:, 1:] != score[:, :-1]
    if new.all():
        return utility
    group = np.cumsum(new.ravel()) - 1
    sums = np.bincount(group, weights=utility.ravel())
    return np.asarray((sums / np.bincount(group))[group].reshape(utility.shape), dtype=np.float64)


@dataclass(frozen=True)
class RuleCurve:
    """Expected utility of a rule by size of the subset."""

    n: Ints
    value: Floats
    """Mean over the subsets drawn, one per n."""
    error: Floats
    """Its standard error from drawing subsets instead of taking all; 0 where all were taken."""


def curve_of_rule(
    utilities: Floats,
    rule: Rule,
    n: Sequence[int] | Ints,
    *,
    subsets: int,
    rng: np.random.Generator,
) -> RuleCurve:
    """Expected utility of what `rule` picks from random subsets of one query's pool, for each n.

    `utilities` is (N,); `rule` scores the subset it is given and nothing else; ties are shared evenly. `subsets` are
    drawn for each n, but for n = 1 and n = N, which need none.
    """
    utility = np.asarray(utilities, dtype=np.float64)
    size = len(utility)
    sizes = np.asarray(n, dtype=np.int64)
    if subsets < 2 or sizes.size == 0 or sizes.min() < 1 or sizes.max() > size:
        raise InvalidInput(f"n={sizes.tolist()} with {subsets} subsets of a pool of {size}", "choose n from 1 to N")
    values, errors = np.empty(len(sizes)), np.zeros(len(sizes))
    for place, count in enumerate(sizes):
        if count == 1:
            values[place] = utility.mean()
        elif count == size:
            values[place] = _picked(utility, rule, np.arange(size))
        else:
            drawn = [
                _picked(utility, rule, np.sort(rng.choice(size, count, replace=False, shuffle=False)))
                for _ in range(subsets)
            ]
            values[place] = np.mean(drawn)
            errors[place] = np.std(drawn, ddof=1) / np.sqrt(subsets)
    return RuleCurve(sizes, values, errors)


def _picked(utility: Floats, rule: Rule, members: Ints) -> float:
    scores = np.asarray(rule(members), dtype=np.float64)
    if scores.shape != members.shape or np.isnan(scores).any():
        raise InvalidInput(f"the rule gave {scores.shape} scores for {len(members)} candidates", "one each, not nan")
    return float(utility[members[scores == scores.max()]].mean())


@dataclass(frozen=True)
class CeilingFit:
    """One form of the oracle's gain, fitted to the curve by least squares over n >= 2."""

    scale: float
    """sigma of the Gaussian form, b of the exponential one, in utility units."""
    rmse: float
    """Root mean squared deviation, utility units."""
    r2: float
    """Share of the curve's variance over n that the form explains."""
    worst: float
    """Largest absolute deviation, utility units."""


@dataclass(frozen=True)
class Ceilings:
    """Both forms fitted to one oracle curve. Which is better is a finding."""

    exponential: CeilingFit
    gaussian: CeilingFit

    @property
    def better(self) -> str:
        """`exponential` or `gaussian`, whichever deviates less."""
        return "exponential" if self.exponential.rmse < self.gaussian.rmse else "gaussian"


def fit_ceilings(n: Sequence[int] | Ints, gain: Floats) -> Ceilings:
    """Fits scale (H_n - 1) and scale m_n to the oracle's gain over the mean, `gain` at each `n`.

    Raises InvalidInput for fewer than two n above 1, which every form would fit.
    """
    sizes, gains = np.asarray(n, dtype=np.float64), np.asarray(gain, dtype=np.float64)
    used = sizes > 1
    if sizes.shape != gains.shape or used.sum() < 2 or not np.isfinite(gains[used]).all():
        raise InvalidInput("a ceiling needs the oracle's gain at two or more n above 1", "use pools of 3 or more")
    sizes, gains = sizes[used], gains[used]
    return Ceilings(_fit(harmonic(sizes) - 1, gains), _fit(expected_maximum(sizes), gains))


def exponential_fits_better(n: Sequence[int] | Ints, gain: Floats) -> float:
    """Share of many oracle curves, (curves, len(n)), that the exponential form fits better than the Gaussian one."""
    sizes = np.asarray(n, dtype=np.float64)
    used = sizes > 1
    curves = np.asarray(gain, dtype=np.float64)[:, used]
    left = []
    for form in (harmonic(sizes[used]) - 1, expected_maximum(sizes[used])):
        scale = curves @ form / (form @ form)
        left.append(((curves - scale[:, None] * form) ** 2).sum(axis=1))
    return float(np.mean(left[0] < left[1]))


def _fit(form: Floats, gain: Floats) -> CeilingFit:
    scale = float(form @ gain / (form @ form))
    left = gain - scale * form
    total = float(np.sum((gain - gain.mean()) ** 2))
    r2 = 1 - float(left @ left) / total if total > 0 else float("nan")
    return CeilingFit(scale, float(np.sqrt(np.mean(left**2))), r2, float(np.abs(left).max()))
