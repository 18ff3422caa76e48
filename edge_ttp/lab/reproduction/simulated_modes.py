"""The two failure modes where they have to appear, and what a learned variance does to each: simulated users.

Everybody wants something of their own: a user's utility is linear in a candidate's features, with weights of that user
alone. A network of the user's own learns them from ten judged pools, and ranks later ones, whose utilities are
true. Two things can be wrong with judgments, one a world:

- **carelessness** (collapse): some users judge most pools at random, and it can be seen which (they took a second). One
  variance for all finds hardly anything but noise, and the network says nearly the same of every candidate.
- **dazzle** (hacking): gloss makes a candidate a little worse, but some users now and then praise a very glossy one far
  too highly. One variance for all follows those outliers: the best of N by that score is the glossiest.

Both arms are Bayesian linear regression under the true prior of the weights (Bishop 2006, section 3.3). Squared error
has one variance for everything. The Gaussian likelihood learns one, log-linear in carelessness and gloss, and divides
every squared error by it. The set-up is this project's own, not the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp.lab.reproduction.ladder import BOTTOM, LadderRow, diagnosed, ladder, variant
from edge_ttp.lab.reproduction.score_file import PARTS, Scored, ScoreFile, ScoreSet
from edge_ttp.scaling import best_of_n

Floats = npt.NDArray[np.float64]

ARMS = ("mse", "gaussian")
SIZES = (2, 4, 8, 16, 32)
USERS = 60
JUDGED, SHOWN = 10, 16
"""Judged pools of each user, and candidates of each."""
LATER = 8
"""Pools of each user, of SIZES[-1] candidates, that the networks rank."""
FEATURES = 20
SIGNAL, NOISE = 0.05, 0.03
"""Standard deviations of utility within a pool: what features tell, and what they do not. About as on real pools."""
LEVEL = 0.3
"""Mean utility: far enough from 0 and 1."""
GLOSS = 0.02
"""Utility that a standard deviation of gloss takes away, for everybody."""
_ROUNDS = 12


@dataclass(frozen=True)
class World:
    """What is wrong with judgments."""

    name: str
    careless: float = 0.0
    """Share of users who judge CARELESS_POOLS of their pools with an error of standard deviation CARELESS_NOISE."""
    dazzled: float = 0.0
    """Share of users who DAZZLED_OFTEN add DAZZLE for each unit of gloss above 1."""


CARELESS_POOLS, CARELESS_NOISE = 8, 3.0
DAZZLE, DAZZLED_OFTEN = 1.0, 0.3

COLLAPSE = World("user-level collapse", careless=0.4)
HACKING = World("query-level hacking", dazzled=0.6)
HEALTHY = World("neither")
"""Careful judgments: nothing should fail here, and no variance should be worth anything."""
WORLDS = (COLLAPSE, HACKING, HEALTHY)


@dataclass(frozen=True)
class UserJudgments:
    """Pools with what their user said of them."""

    features: Floats
    """(rows, FEATURES), centred in their pool; the first is gloss."""
    said: Floats
    """(rows,) judged utility, centred in its pool."""
    noise: Floats
    """(rows, 3) what the variance may depend on: a constant, carelessness, gloss."""


@dataclass(frozen=True)
class Network:
    """What was learned of one user: weights with their uncertainty, and the variance of judgments."""

    weights: Floats
    """(FEATURES,)."""
    covariance: Floats
    """(FEATURES, FEATURES) of the weights' error."""
    log_variance: Floats
    """(3,) of judgments, by what it may depend on."""


@dataclass(frozen=True)
class SimulatedMode:
    """One world: the arms' rows, and what diagnose says of them."""

    world: World
    rows: tuple[LadderRow, ...]
    """Squared error by mean, then the likelihood by every selection, all seeds together."""
    said: tuple[tuple[str, tuple[str, ...]], ...]
    """Sentences of `edge-ttp diagnose`, by arm, of the first seed."""

    def row(self, arm: str, selection: str = "mean") -> LadderRow:
        """The row of this arm and selection."""
        return next(row for row in self.rows if (row.arm, row.selection) == (arm, selection))


def simulated(*, seeds: int = 5, resamples: int = 200) -> tuple[SimulatedMode, ...]:
    """Every world. The same numbers for the same arguments."""
    found = []
    for world in WORLDS:
        file = simulated_scores(world, seeds=seeds)
        said = tuple((arm, tuple(diagnosed(file, variant(BOTTOM, arm, 0), resamples=resamples))) for arm in ARMS)
        found.append(SimulatedMode(world, tuple(ladder(file, resamples=resamples, alone=True)), said))
    return tuple(found)


def simulated_scores(world: World, *, seeds: int) -> ScoreFile:
    """The scores of later pools as a score file: users and pools are the same for every seed, judgments are not."""
    drawn = np.random.default_rng(7)
    wanted = drawn.standard_normal((USERS, FEATURES)) * SIGNAL / np.sqrt(FEATURES)
    wanted[:, 0] -= GLOSS
    later = [_pools(drawn, one, LATER, SIZES[-1]) for one in wanted]
    utility = LEVEL + np.concatenate([true for _, true, _ in later])
    made, variants = {}, {}
    for arm in ARMS:
        for seed in range(seeds):
            rng = np.random.default_rng([1, seed])
            networks = [learn(judged(world, one, place, rng), arm) for place, one in enumerate(wanted)]
            name = variant(BOTTOM, arm, seed)
            made[name] = {"rung": BOTTOM, "loss": arm, "seed": seed}
            variants[name] = _scored(networks, later, utility, variance=arm == "gaussian")
    user, query = np.repeat(np.arange(USERS), LATER), np.arange(USERS * LATER)
    part = np.full(len(query), PARTS.index("tune"))
    return ScoreFile((ScoreSet("simulated", "simulated", SIZES, user, query, part, utility, variants),), made)


def judged(world: World, wanted: Floats, place: int, rng: np.random.Generator) -> UserJudgments:
    """What the user of these weights says of JUDGED pools; `place` among the USERS decides what is wrong with it."""
    features, utility, gloss = _pools(rng, wanted, JUDGED, SHOWN)
    careless = np.arange(JUDGED) < (CARELESS_POOLS if place < world.careless * USERS else 0)
    praised = (rng.random(gloss.shape) < DAZZLED_OFTEN) & (place < world.dazzled * USERS)
    said = utility + DAZZLE * praised * np.maximum(gloss - 1, 0)
    said += CARELESS_NOISE * careless[:, None] * rng.standard_normal(gloss.shape)
    noise = np.stack([np.ones_like(gloss), np.broadcast_to(careless[:, None], gloss.shape), gloss], axis=-1)
    return UserJudgments(
        features.reshape(-1, FEATURES), _centred(said).ravel(), noise.reshape(-1, 3).astype(np.float64)
    )


def learn(seen: UserJudgments, arm: str) -> Network:
    """Weights by the arm's loss: `mse` has one variance, `gaussian` learns one for every judgment."""
    noise = seen.noise if arm == "gaussian" else seen.noise[:, :1]
    log_variance = np.zeros(3)
    log_variance[0] = np.log(np.mean(seen.said**2))
    prior = FEATURES / SIGNAL**2 * np.eye(FEATURES)
    for _ in range(_ROUNDS):
        weight = np.exp(-noise @ log_variance[: noise.shape[1]])
        covariance: Floats = np.linalg.inv((seen.features * weight[:, None]).T @ seen.features + prior).astype(
            np.float64
        )
        weights = covariance @ (seen.features.T @ (weight * seen.said))
        error = (seen.said - seen.features @ weights) ** 2 + _spread(seen.features, covariance)
        log_variance[: noise.shape[1]] = _log_variance(noise, error, log_variance[: noise.shape[1]])
    return Network(weights, covariance, log_variance)


def _log_variance(noise: Floats, square: Floats, start: Floats) -> Floats:
    """One Newton step (Fisher's scoring) towards the log-linear variance of these squared errors."""
    ratio = square * np.exp(-noise @ start)
    step = np.linalg.solve(noise.T @ noise + 1e-6 * np.eye(noise.shape[1]), noise.T @ (np.minimum(ratio, 1e3) - 1))
    return np.asarray(start + np.clip(step, -2, 2))


Pooled = tuple[Floats, Floats, Floats]
"""(pools, size, FEATURES) features, centred in their pool; (pools, size) true utilities around 0, and gloss."""


def _scored(networks: list[Network], later: list[Pooled], utility: Floats, *, variance: bool) -> Scored:
    score = np.concatenate([pools @ one.weights for one, (pools, _, _) in zip(networks, later, strict=True)])
    picked = best_of_n(utility, score, SIZES)
    if not variance:
        return Scored(score, picked)
    own = [_spread(pools, one.covariance) for one, (pools, _, _) in zip(networks, later, strict=True)]
    epistemic = np.concatenate(own)
    # Later pools are judged with care: what is learned of noise there is what gloss does to it.
    noise = [
        one.log_variance[0] + one.log_variance[2] * gloss for one, (_, _, gloss) in zip(networks, later, strict=True)
    ]
    return Scored(score, picked, np.sqrt(np.exp(np.concatenate(noise)) + epistemic), np.sqrt(epistemic))


def _pools(rng: np.random.Generator, wanted: Floats, count: int, size: int) -> Pooled:
    features = rng.standard_normal((count, size, FEATURES))
    gloss = rng.exponential(size=(count, size))
    features[:, :, 0] = gloss
    features -= features.mean(axis=1, keepdims=True)
    return features, _centred(features @ wanted + NOISE * rng.standard_normal((count, size))), gloss


def _spread(features: Floats, covariance: Floats) -> Floats:
    """Variance of the weights' error, of each row of features."""
    return np.asarray(((features @ covariance) * features).sum(axis=-1))


def _centred(values: Floats) -> Floats:
    return np.asarray(values - values.mean(axis=1, keepdims=True))
