"""Expected maxima: of N standard normals, of N exponentials, and the bound for any sub-exponential tail.

Sources: David & Nagaraja, Order Statistics (3rd edition), sections 3.1 and 4.2; the bound is the integral of
min(1, N exp(-t / b)).
"""

from __future__ import annotations

from functools import cache
from math import erfc, sqrt

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput

Floats = npt.NDArray[np.float64]
Counts = npt.ArrayLike
"""Numbers of candidates: one, or any array of them."""

EULER_GAMMA = 0.57721566490153286061

_LEFT, _RIGHT, _STEP = -12.0, 38.0, 1.0 / 64
"""The quadrature's range and step: outside it the normal density is below 1e-31 on the left, 0 on the right."""

_EXACT_SUM = 4096
"""Up to here a harmonic number is summed; beyond, the asymptotic series is exact to the last digit."""


def expected_maximum(n: Counts) -> Floats:
    """m_N = E[max of N independent standard normals], the shape of `n`; absolute error below 1e-9.

    The integral of N x phi(x) Phi(x)^(N-1), by the trapezoidal rule, which converges exponentially for it. `n` may be
    any real number >= 1 up to 1e100. Raises InvalidInput for less than 1.
    """
    counts = _checked(n)
    nodes, density, log_below = _normal_nodes()
    unique, where = np.unique(counts, return_inverse=True)
    values = np.array([_STEP * float(np.sum(c * nodes * density * np.exp((c - 1) * log_below))) for c in unique])
    values[unique == 1] = 0.0
    return values[where].reshape(counts.shape)


def square_of_maximum(n: Counts) -> Floats:
    """E[M^2] of the maximum M of N independent standard normals, the shape of `n`: 1 for N = 1 and 2, then growing.

    Computed as `expected_maximum` is, to the same error. Raises InvalidInput for less than 1.
    """
    counts = _checked(n)
    nodes, density, log_below = _normal_nodes()
    unique, where = np.unique(counts, return_inverse=True)
    squares = nodes**2 * density
    values = np.array([_STEP * float(np.sum(c * squares * np.exp((c - 1) * log_below))) for c in unique])
    return values[where].reshape(counts.shape)


def skewed_maximum(n: Counts, skewness: float) -> Floats:
    """Expected maximum of N standardized draws of this skewness: m_N + skewness / 6 (E[M^2] - 1), the shape of `n`.

    The first term of the Cornish-Fisher expansion x = z + skewness / 6 (z^2 - 1) (Cornish & Fisher 1938), taken at the
    maximum. At N = 2 it adds nothing; it is meant for skewnesses of about -1 to 1.
    """
    return np.asarray(expected_maximum(n) + skewness / 6 * (square_of_maximum(n) - 1), dtype=np.float64)


@cache
def _normal_nodes() -> tuple[Floats, Floats, Floats]:
    """Nodes, the normal density there, and the logarithm of the distribution function."""
    nodes = np.arange(_LEFT, _RIGHT + _STEP / 2, _STEP)
    density = np.exp(-0.5 * nodes**2) / sqrt(2 * np.pi)
    above = np.array([0.5 * erfc(x / sqrt(2)) for x in nodes])
    below = np.array([0.5 * erfc(-x / sqrt(2)) for x in nodes])
    log_below = np.where(nodes > 0, np.log1p(-np.minimum(above, 0.5)), np.log(below))
    return nodes, density, log_below


def harmonic(n: Counts) -> Floats:
    """H_n = 1 + 1/2 + ... + 1/n for whole numbers n >= 1, the shape of `n`."""
    counts = _checked(n)
    whole = counts.astype(np.int64) if counts.max(initial=1) < 2**62 else counts
    if not np.array_equal(whole, counts):
        raise InvalidInput("harmonic numbers are for whole n", "round n")
    table = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, _EXACT_SUM + 1))])
    inverse = 1.0 / counts**2
    series = np.log(counts) + EULER_GAMMA + 0.5 / counts - inverse / 12 + inverse**2 / 120
    return np.where(counts <= _EXACT_SUM, table[np.minimum(counts, _EXACT_SUM).astype(np.int64)], series)


def gaussian_ceiling(n: Counts, sigma: float) -> Floats:
    """Oracle gain over the mean where utilities are Gaussian with standard deviation `sigma`: sigma m_N."""
    return sigma * expected_maximum(n)


def exponential_ceiling(n: Counts, scale: float) -> Floats:
    """Oracle gain over the mean where utilities have an exponential tail of scale `scale`: scale (H_N - 1)."""
    return scale * (harmonic(n) - 1)


def subexponential_bound(n: Counts, scale: float) -> Floats:
    """What no oracle exceeds over `mu` if P(U - mu > t) <= exp(-t / scale) for all t: scale (1 + ln N)."""
    return scale * (1 + np.log(_checked(n)))


def _checked(n: Counts) -> Floats:
    counts = np.asarray(n, dtype=np.float64)
    if counts.size and not (np.isfinite(counts).all() and counts.min() >= 1 and counts.max() <= 1e100):
        raise InvalidInput("the number of candidates must be from 1 to 1e100", "check n")
    return counts
