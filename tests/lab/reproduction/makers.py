"""Score files for tests: known correlations, known tails."""

from __future__ import annotations

import numpy as np

from edge_ttp.lab.reproduction.score_file import Scored, ScoreFile, ScoreSet
from edge_ttp.scaling import best_of_n

SIZES = (2, 4, 8)
MADE = {"sum": {"loss": "none"}, "mse": {"loss": "mse"}, "beta-nll": {"loss": "beta-nll", "beta": 0.5}}


def score_set(
    task: str, policy: str, rho: dict[str, float], *, queries: int = 240, users: int = 40, tail: bool = False
) -> ScoreSet:
    """Pools of 8, Gaussian or with an exponential tail; each variant's score goes with the utility by its `rho`.

    The variance of `beta-nll` is large where its score is wrong: taking it off the mean helps.
    """
    rng = np.random.default_rng(sum(map(ord, task + policy)))
    latent = rng.standard_normal((queries, SIZES[-1]))
    utility = np.clip(0.3 + 0.08 * latent, 0, 1)
    if tail:
        utility = np.clip(0.05 + 0.05 * rng.exponential(size=latent.shape), 0, 1)
    variants = {}
    for name, value in rho.items():
        noise = rng.standard_normal(latent.shape)
        score = value * latent + np.sqrt(1 - value**2) * noise
        picked = best_of_n(utility, score, SIZES)
        sd = np.clip(0.02 + 0.05 * np.maximum(noise, 0), 0.001, 1) if name == "beta-nll" else None
        variants[name] = Scored(0.05 * score, picked, sd, sd)
    return ScoreSet(
        task=task,
        policy=policy,
        sizes=SIZES,
        user=rng.integers(0, users, queries) + 1_000_000,
        query=np.arange(queries),
        part=np.arange(queries) % 3,
        utility=utility,
        variants=variants,
    )


def score_file() -> ScoreFile:
    """Two policies, two tasks, three variants of different quality."""
    quality = {"titles": {"sum": 0.2, "mse": 0.5, "beta-nll": 0.6}, "notes": {"sum": 0.5, "mse": 0.7, "beta-nll": 0.8}}
    sets = [score_set(task, policy, rho) for policy in ("small", "large") for task, rho in quality.items()]
    return ScoreFile(tuple(sets), MADE)
