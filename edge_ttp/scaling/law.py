"""The law that turns four quantities into a Best-of-N curve. This project's own reading of the paper's claim.

For jointly Gaussian utilities and scores the candidate with the largest score has expected utility
mean + rho sigma m_N (the concomitant of an extreme order statistic; David & Nagaraja, Order Statistics, section 6.8).
Splitting off users for whom the score collapsed (gain 0) and queries where it points the wrong way (rho < 0):

    gain(N) = sigma m_N (1 - c) [(1 - h) rho_plus - h rho_minus]

Real utilities are skewed, so that sigma m_N misses. The share form takes the measured oracle in its place:

    gain(N) = measured oracle gain(N) (1 - c) [(1 - h) rho_plus - h rho_minus]

It holds where scores are as skewed as utilities. Usually they are less so, and the share falls with N: then each
query's correlation times the spacing of its own scores holds up (`edge_ttp.scaling.pools.Gains.spaced`), and
`skewed_share` is what two skewnesses alone tell of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_ttp.errors import InvalidInput
from edge_ttp.scaling.order_statistics import Counts, Floats, expected_maximum, skewed_maximum


@dataclass(frozen=True)
class Law:
    """The four quantities and the spread, weighted by the queries' spread of utility."""

    c: float
    """Collapse rate, 0 to 1."""
    h: float
    """Hacking rate among the other users' queries, 0 to 1."""
    rho_plus: float
    """Mean correlation of the aligned queries, 0 to 1."""
    rho_minus: float
    """Mean size of the correlation of the hacked ones, 0 to 1. Any value will do where h is 0."""
    sigma: float
    """Mean spread of the utilities within a query, utility units."""

    def __post_init__(self) -> None:
        for name in ("c", "h", "rho_plus", "rho_minus"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInput(f"{name}={getattr(self, name)} is not from 0 to 1", "check the quantities")
        if not 0 <= self.sigma < float("inf"):
            raise InvalidInput(f"sigma={self.sigma} is not a spread", "check the quantities")

    @property
    def share(self) -> float:
        """Share of the oracle's gain that selection reaches: 1 for the oracle, 0 for a random pick."""
        return (1 - self.c) * ((1 - self.h) * self.rho_plus - (self.h * self.rho_minus if self.h > 0 else 0.0))

    def gaussian_gain(self, n: Counts) -> Floats:
        """Gain over a random pick at each n, utility units, if utilities and scores are Gaussian."""
        return self.sigma * self.share * expected_maximum(n)

    def gain(self, oracle_gain: Floats) -> Floats:
        """Gain over a random pick where the oracle's is `oracle_gain`, utility units: the share form."""
        return self.share * np.asarray(oracle_gain, dtype=np.float64)


def skewed_share(n: Counts, share: float, *, score_skewness: float, utility_skewness: float) -> Floats:
    """The share at each n where scores and utilities are skewed: a closed form for what the plain one misses.

    The gain is as large as the maximum of the *scores* reaches, the oracle's as large as that of the *utilities*:

        share(N) = share x (m_N + g_s / 6 (v_N - 1)) / (m_N + g_u / 6 (v_N - 1)),   v_N = E[M_N^2]

    with `edge_ttp.scaling.order_statistics.skewed_maximum` for both. Equal skewnesses give the plain share at every n;
    scores that are less skewed than utilities, which is usual, lose share as n grows. nan at n = 1.
    """
    counts = np.asarray(n, dtype=np.float64)
    above, below = skewed_maximum(counts, score_skewness), skewed_maximum(counts, utility_skewness)
    return np.asarray(share * np.divide(above, below, out=np.full(counts.shape, np.nan), where=counts > 1))


def marginal_gain(n: Counts, slope: float) -> Floats:
    """Expected gain of one candidate more than n, utility units: slope (m_{n+1} - m_n).

    `slope` is rho x sigma, the utility gained per standard deviation of score.
    """
    counts = np.asarray(n, dtype=np.float64)
    return np.asarray(slope * (expected_maximum(counts + 1) - expected_maximum(counts)), dtype=np.float64)
