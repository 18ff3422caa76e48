"""The distribution of true within-query correlations behind noisy ones, and what follows from it.

A pool of N candidates measures zeta = atanh(rho) with a standard error of about 1 / sqrt(N-3). Counting negative
estimates would call many healthy queries hacked, so the distribution of zeta is estimated first: nonparametric maximum
likelihood over weights on a fixed grid, by EM (Kiefer & Wolfowitz 1956; Laird 1978). A normal distribution of zeta is
the simpler rival, and counting the naive one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, sqrt

import numpy as np
import numpy.typing as npt

from edge_ttp.scaling.correlation import QueryEvidence
from edge_ttp.scaling.curves import Ints
from edge_ttp.scaling.order_statistics import Floats

Booleans = npt.NDArray[np.bool_]

GRID_POINTS = 91
EM_STEPS = 100
BINS = 240
"""Cells into which measured atanh(rho) are sorted, per class of pool size: far finer than their noise."""

MAX_CLASSES = 6
"""Different noise levels told apart; pools of more different sizes are put together with their nearest."""

_FLOOR = 1e-30
"""Less than this is nothing."""

_REACH = 4.0
"""Largest |atanh(rho)| that is told apart: rho = .9993."""


@dataclass(frozen=True)
class Moments:
    """What a distribution of correlations says. Scalars, or arrays of one shape (bootstrap resamples)."""

    h: Floats
    """Share with rho < 0."""
    rho_plus: Floats
    """Mean of rho over the others; nan if there are none."""
    rho_minus: Floats
    """Mean of -rho over those with rho < 0; nan if there are none."""

    @property
    def net(self) -> Floats:
        """(1 - h) rho_plus - h rho_minus, the mean correlation."""
        return np.asarray(
            (1 - self.h) * np.nan_to_num(self.rho_plus) - self.h * np.nan_to_num(self.rho_minus), dtype=np.float64
        )

    def first(self) -> Moments:
        """The moments of the first distribution, as scalars."""
        return Moments(self.h[0], self.rho_plus[0], self.rho_minus[0])


def _moments(mass: Floats, rho: Floats, negative: Floats) -> Moments:
    """Moments of distributions that put `mass`, (distributions, points), on `rho`; `negative` is how far rho < 0."""
    below, above = mass @ negative, mass @ (1 - negative)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Moments(
            below / (below + above), mass @ (rho * (1 - negative)) / above, -(mass @ (rho * negative)) / below
        )


def naive_moments(rho: Floats, weight: Floats) -> Moments:
    """The moments of measured correlations as if they had no error."""
    return _moments(weight[None], rho, (rho < 0).astype(np.float64)).first()


class Deconvolution:
    """Queries sorted into cells by what they measured, and the likelihood of each cell at every grid point.

    Weights and resampling only change how much each cell holds, so a bootstrap never sees the queries again.
    """

    def __init__(self, evidence: QueryEvidence, inflation: float) -> None:
        """`evidence`: informative queries with N > 3 and finite rho. `inflation` multiplies the variance 1/(N-3)."""
        level, sizes = _classes(evidence.size)
        z = np.arctanh(np.clip(evidence.rho, -np.tanh(_REACH), np.tanh(_REACH)))
        limit = float(np.clip(np.abs(z).max(initial=0.0), 1.5, _REACH))
        self.grid: Floats = np.linspace(-limit, limit, GRID_POINTS)
        self.rho: Floats = np.tanh(self.grid)
        # Half of the grid point at 0 counts as hacked: its cell reaches as far below 0 as above.
        self.negative: Floats = np.where(self.grid < -1e-9, 1.0, np.where(self.grid < 1e-9, 0.5, 0.0))
        step = 2 * limit / BINS
        column = np.clip(np.floor((z + limit) / step).astype(np.int64), 0, BINS - 1)
        self._cell = level * BINS + column
        self.cells = len(sizes) * BINS
        middle = -limit + step * (np.arange(BINS) + 0.5)
        blocks = []
        for size in sizes:
            centre, variance = self.grid + _shift(self.rho, size), inflation * _variance(self.rho, size)
            block = -0.5 * (middle[:, None] - centre) ** 2 / variance
            block -= block.max(axis=0)
            blocks.append(block - np.log(np.exp(block).sum(axis=0)))
        self._log: Floats = np.concatenate(blocks)
        self.likelihood: Floats = np.exp(self._log)

    def weigh(self, weight: Floats) -> Floats:
        """How much every cell holds, (cells,), if each query counts `weight`, (queries,)."""
        return np.bincount(self._cell, weights=weight, minlength=self.cells).astype(np.float64)

    def fit(self, held: Floats, steps: int = EM_STEPS, allowed: Booleans | None = None) -> Floats:
        """The distribution of rho on the grid, (resamples, grid), for cells holding `held`, (resamples, cells).

        EM from the uniform distribution over the `allowed` grid points; stopping early keeps it smooth.
        """
        kept = held.any(axis=0)
        # Resamples take half the time in single precision, which is far finer than their scatter.
        precision: npt.DTypeLike = np.float32 if len(held) > 1 else np.float64
        floor = _FLOOR if len(held) > 1 else 0.0
        share = (held[:, kept] / held.sum(axis=1, keepdims=True)).astype(precision)
        some = np.ones(GRID_POINTS, dtype=np.bool_) if allowed is None else allowed
        start = some.astype(np.float64)
        prior = np.tile(start / start.sum(), (len(held), 1)).astype(precision)
        # Relative to what the allowed points make most likely, which EM does not notice: a cell far from all of them
        # (every score wrong, and only rho > 0 allowed) would underflow to a likelihood of 0 everywhere.
        log = self._log[kept]
        near = np.minimum(log - log[:, some].max(axis=1, keepdims=True), 0.0)
        likelihood = np.ascontiguousarray(np.maximum(np.where(some, np.exp(near), 0.0), floor).astype(precision))
        turned = np.ascontiguousarray(likelihood.T)
        for _ in range(steps):
            prior *= (share / np.maximum(prior @ turned, _FLOOR)) @ likelihood
            if floor:  # denormal numbers are slow
                np.maximum(prior, floor, out=prior)
        found = prior.astype(np.float64)
        return np.asarray(found / found.sum(axis=1, keepdims=True), dtype=np.float64)

    def expected(self, prior: Floats, held: Floats) -> Floats:
        """What cells would hold without chance under distributions on the grid, given how much each class holds."""
        classes = held.reshape(len(held), -1, BINS).sum(axis=2)
        return np.asarray((prior @ self.likelihood.T) * np.repeat(classes, BINS, axis=1), dtype=np.float64)

    def moments(self, prior: Floats) -> Moments:
        """h, rho_plus and rho_minus of distributions on the grid, (resamples, grid)."""
        return _moments(prior, self.rho, self.negative)

    def sharpened(self, prior: Floats, held: Floats) -> Moments:
        """The moments of `prior`, fitted to `held`, without the bias that stopping EM early leaves in them.

        Fitting what the fit itself predicts shows how far stopping moves a moment; it is moved back by as much
        (Tukey's twicing).
        """
        first = self.moments(prior)
        again = self.moments(self.fit(self.expected(prior, held)))
        return Moments(
            *(
                np.asarray(np.clip(2 * getattr(first, name) - getattr(again, name), 0.0, 1.0), dtype=np.float64)
                for name in ("h", "rho_plus", "rho_minus")
            )
        )

    def log_likelihood(self, prior: Floats) -> Floats:
        """Log likelihood of every cell under one distribution, (cells,), up to a constant per cell."""
        return np.asarray(np.log(np.maximum(self.likelihood @ prior, 1e-300)), dtype=np.float64)

    def posterior(self, prior: Floats) -> tuple[Floats, Floats]:
        """For every query: its probability of rho < 0 and its expected rho, given one distribution, (grid,)."""
        joint = self.likelihood * prior
        joint /= np.maximum(joint.sum(axis=1, keepdims=True), 1e-300)
        return (joint @ self.negative)[self._cell], (joint @ self.rho)[self._cell]


def normal_moments(evidence: QueryEvidence, weight: Floats, inflation: float) -> Moments:
    """The moments if zeta were normally distributed, its mean and variance matched to the measured ones."""
    z = np.arctanh(np.clip(evidence.rho, -np.tanh(_REACH), np.tanh(_REACH)))
    z = z - _shift(evidence.rho, evidence.size.astype(np.float64))
    share = weight / weight.sum()
    mean = float(share @ z)
    noise = float(share @ (inflation / (evidence.size - 3)))
    spread = sqrt(max(float(share @ (z - mean) ** 2) - noise, 1e-12))
    nodes = np.linspace(-6, 6, 1201)
    density = np.exp(-0.5 * nodes**2)
    rho = np.tanh(mean + spread * nodes)
    found = _moments((density / density.sum())[None], rho, (rho < 0).astype(np.float64)).first()
    return Moments(np.asarray(0.5 * (1 + erf(-mean / spread / sqrt(2)))), found.rho_plus, found.rho_minus)


def _shift(rho: Floats, size: Floats | float) -> Floats:
    """How far atanh(rho_hat) lies beyond atanh(rho) on average, weighted by the sample's own spread of utility.

    The weight doubles the well-known rho / (2 (N-1)) of bivariate normal pairs; the factor is fitted to simulations
    of N = 8, 16, 32 and leaves less than .01.
    """
    return np.asarray(rho / (size - 1) * (1 + 1.2 / (size - 1)), dtype=np.float64)


def _variance(rho: Floats, size: float) -> Floats:
    """Variance of atanh(rho_hat) under the same weights: nearly 1 / (N-3)."""
    return np.asarray((1 - rho**2 / (size - 1)) / (size - 3), dtype=np.float64)


def _classes(size: Ints) -> tuple[Ints, Floats]:
    """Each query's class of noise, and the pool size that stands for each class (N - 3 averaged)."""
    sizes, level = np.unique(size, return_inverse=True)
    if len(sizes) > MAX_CLASSES:
        edges = np.quantile(np.log(sizes - 3.0), np.linspace(0, 1, MAX_CLASSES + 1)[1:-1])
        level = np.searchsorted(edges, np.log(size - 3.0))
        _, level = np.unique(level, return_inverse=True)
    total = np.bincount(level, weights=size.astype(np.float64))
    return level.astype(np.int64), total / np.bincount(level)
