"""Gaussian pools with chosen correlations, for tests."""

from __future__ import annotations

import numpy as np

from edge_ttp.scaling import Pools


def gaussian_pools(
    rho: np.ndarray, user: np.ndarray, size: int = 16, *, spread: np.ndarray | None = None, seed: int = 0
) -> Pools:
    """One pool per entry of `rho`; `spread` multiplies the scores of each."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((len(rho), size))
    score = rho[:, None] * z + np.sqrt(1 - rho[:, None] ** 2) * rng.standard_normal(z.shape)
    if spread is not None:
        score = score * spread[:, None]
    return Pools.from_matrices(0.1 * z, score, user)
