"""What one user's own evidence says about the last layer's weights: Bayesian linear regression in closed form.

The prior is the stock model's Gaussian over the weights (reward.json). A pool whose candidates were labelled adds

    precision += share * sum_i phi_i phi_i^T / s_i^2,    share = EFFECTIVE_CANDIDATES / N

(Bishop 2006, section 3.3), with features and utilities centred within the pool, because only differences matter for a
choice, and s_i^2 the learned noise. Candidates judged against one reference are not independent: a pool counts as
EFFECTIVE_CANDIDATES of them. Judgments without a label enter as choices (a logistic likelihood, whose pull is bounded)
by a Laplace step, around what the stock scores foretell of this user's judgments (`Habit`): a user who accepts
everything, or whose judgments contradict each other, moves nothing. Evidence is used in a fixed order and refitted
whole, so that equal evidence gives equal bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp.reward.choices import KINDS, Choices, Evidence, EvidenceKind, Floats, mode, scaled

__all__ = [
    "KINDS",
    "Evidence",
    "EvidenceKind",
    "Floats",
    "Posterior",
    "UpdateSettings",
    "Weights",
    "fit_user",
    "information",
]

LABELLED: frozenset[EvidenceKind] = frozenset({"written", "edit"})
"""Kinds that come with the user's own text, so that every candidate has a utility."""

WEIGHTS: dict[EvidenceKind, float] = {
    "written": 1.0,
    "edit": 1.0,
    "prefer": 1.0,
    "accept": 1.0,
    "reject": 1.0,
    "copied": 0.3,
    "regenerated": 0.3,
}
"""How much one judgment of a kind counts; what was only inferred from behaviour counts less."""

MAX_EVIDENCE = 512
"""Newest pools that are used; with the half-life, older ones weigh less than 1/16 of the newest."""

MAX_JUDGMENTS = 32.0
"""Most that all judgments without a label weigh together, so that written texts can always outvote them."""

FOLDS = 5
SHARES = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
_RIDGE = 1e-9
"""Keeps a prior that is singular to rounding invertible."""


@dataclass(frozen=True)
class UpdateSettings:
    """Constants of the update, chosen on tune users (docs/measured/learning.md)."""

    effective_candidates: float = 8.0
    """Independent candidates that a labelled pool counts for."""
    prior_scale: float = 1.0
    """Prior covariance of a user's weights, in units of the stock model's."""
    half_life: float = 128.0
    """Pools after which evidence weighs half: the newest counts 1, this many later one half."""
    doubt: float = 0.0
    """How much worse than the stock model, in nats, the user's weights are held to be before their evidence is seen."""


@dataclass(frozen=True)
class Weights:
    """A Gaussian over the last layer's weights."""

    mean: Floats
    """(D,)."""
    covariance: Floats
    """(D, D)."""


@dataclass(frozen=True)
class Posterior:
    """One user's weights as they are used: a mixture of the stock model's and the ones their evidence gave."""

    weights: Weights
    """Mean and covariance of the mixture."""
    trust: float
    """The mixture's share of the user's own weights, 0 to 1: as much as held-out parts of the evidence support."""
    evidence: int
    """Pools behind it."""
    unseen: Floats
    """(E, D) for each pool, the weights that it would have been scored with, had it not been seen."""


def fit_user(stock: Weights, evidence: Sequence[Evidence], settings: UpdateSettings | None = None) -> Posterior:
    """The user's posterior from `evidence`, newest first. Without evidence, the stock model.

    The weights are fitted to all of it; how far they are used is decided on parts that were held out of fits
    (`_trust`). A mixture with share t has mean m0 + t (m - m0) and covariance
    (1-t) S0 + t S + t (1-t) (m - m0) (m - m0)^T.
    """
    settings = settings or UpdateSettings()
    used = list(evidence[:MAX_EVIDENCE])
    if not used:
        return Posterior(stock, 0.0, 0, np.zeros((0, len(stock.mean))))
    weight = recency(used, settings)
    terms = Terms.of(stock, used, weight, settings)
    own = terms.fit(weight)
    unseen = _held_out_steps(terms, weight)
    share = _trust(terms, weight, unseen, settings)
    step = own.mean - stock.mean
    covariance = (1 - share) * stock.covariance + share * own.covariance + share * (1 - share) * np.outer(step, step)
    return Posterior(Weights(stock.mean + share * step, covariance), share, len(used), stock.mean + share * unseen)


def recency(evidence: Sequence[Evidence], settings: UpdateSettings) -> Floats:
    """(E,) weight of each pool, newest first: 2^(-age / half-life) times that of its kind, judgments bounded."""
    weight = np.exp2(-np.arange(len(evidence)) / settings.half_life)
    weight *= np.array([WEIGHTS[one.kind] for one in evidence])
    judged = np.array([one.kind not in LABELLED for one in evidence])
    total = float(weight[judged].sum())
    if total > MAX_JUDGMENTS:
        weight[judged] *= MAX_JUDGMENTS / total
    return np.asarray(weight, dtype=np.float64)


@dataclass(frozen=True)
class Habit:
    """How one user's judgments go with the stock scores: the logit is `ease + grip * score / noise scale`."""

    ease: float = 0.0
    """Above 0 for a user who accepts most answers."""
    grip: float = 1.0
    """1 where judgments follow the scores as utilities do, 0 where they have nothing to do with them."""


def habit_of(stock: Weights, evidence: Sequence[Evidence], weight: Floats) -> Habit:
    """The user's habit, the mode under ease ~ Normal(0, 1) and grip ~ Normal(1, 1), grip at least 0."""

    def logits(evidence: Evidence) -> tuple[Floats, Floats]:
        score = scaled(evidence) @ stock.mean
        easy = np.full(len(score), 0.0 if evidence.kind == "prefer" else 1.0)
        return np.stack([easy, score], axis=1), np.zeros(len(score))

    choices = Choices.of(evidence, 2, logits)
    if not len(choices):
        return Habit()
    at, _ = mode(choices, weight, np.eye(2), np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    return Habit(float(at[0]), max(0.0, float(at[1])))


@dataclass(frozen=True)
class Terms:
    """What each piece of evidence adds, made once and summed for every fit."""

    stock: Weights
    prior: Floats
    """(D, D) prior precision of the user's weights."""
    rows: npt.NDArray[np.int64]
    """(L,) places of the labelled pools in the evidence."""
    precision: Floats
    """(L, D, D) what a labelled pool adds to the precision."""
    moment: Floats
    """(L, D) and to the precision times the step from the stock weights."""
    choices: Choices
    """The judgments; coefficients are the step from the stock weights."""

    @classmethod
    def of(cls, stock: Weights, evidence: Sequence[Evidence], weight: Floats, settings: UpdateSettings) -> Terms:
        """The terms of `evidence`; `weight` decides the user's habit."""
        size = len(stock.mean)
        covariance = settings.prior_scale * stock.covariance + _RIDGE * np.eye(size)
        rows: list[int] = []
        precisions, moments = [], []
        for at, one in enumerate(evidence):
            if one.utility is None:
                continue
            tempered = one.features * (settings.effective_candidates / len(one.noise) / one.noise)[:, None]
            rows.append(at)
            precisions.append(tempered.T @ one.features)
            moments.append(tempered.T @ (one.utility - one.utility.mean() - one.features @ stock.mean))
        habit = habit_of(stock, evidence, weight)

        def logits(evidence: Evidence) -> tuple[Floats, Floats]:
            columns = scaled(evidence)
            return columns, habit.grip * (columns @ stock.mean) + (0.0 if evidence.kind == "prefer" else habit.ease)

        return cls(
            stock,
            np.asarray(np.linalg.inv(covariance), dtype=np.float64),
            np.array(rows, dtype=np.int64),
            np.array(precisions, dtype=np.float64).reshape(len(rows), size, size),
            np.array(moments, dtype=np.float64).reshape(len(rows), size),
            Choices.of(evidence, size, logits),
        )

    def fit(self, weight: Floats) -> Weights:
        """The Gaussian over the user's weights with each piece of evidence counting `weight` times."""
        share = weight[self.rows]
        precision = self.prior + np.einsum("l,lde->de", share, self.precision)
        moment = np.einsum("l,ld->d", share, self.moment)
        step = np.asarray(np.linalg.solve(precision, moment), dtype=np.float64)
        if len(self.choices):
            step, precision = mode(self.choices, weight, precision, moment, step)
        covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        return Weights(self.stock.mean + step, (covariance + covariance.T) / 2)


def _held_out_steps(terms: Terms, weight: Floats) -> Floats:
    """(E, D) for each pool, how far from the stock weights a fit goes that has not seen its fold (5 folds)."""
    folds = min(FOLDS, len(weight))
    fold = np.arange(len(weight)) % folds
    steps = np.zeros((len(weight), len(terms.stock.mean)))
    for number in range(folds if folds > 1 else 0):
        seen = np.where(fold == number, 0.0, weight)
        steps[fold == number] = terms.fit(seen).mean - terms.stock.mean
    return steps


def _trust(terms: Terms, weight: Floats, unseen: Floats, settings: UpdateSettings) -> float:
    """How far the user's weights are used, 0 to 1: the mean of SHARES, each by how well it foretells held-out evidence.

    `unseen` is of `_held_out_steps`. Pools with the user's own text decide alone where there are any, so that judgments
    cannot vouch for themselves. `doubt` is taken off in proportion to the share.
    """
    total = -settings.doubt * SHARES
    if len(terms.rows):
        # The tempered Gaussian log-likelihood along the step, without its constant.
        steps, counts = unseen[terms.rows], weight[terms.rows]
        linear = counts @ np.einsum("ld,ld->l", terms.moment, steps)
        square = counts @ np.einsum("ld,lde,le->l", steps, terms.precision, steps)
        total += SHARES * linear - 0.5 * np.square(SHARES) * square
    else:
        total += [float(weight @ terms.choices.log_likelihoods(share * unseen, len(weight))) for share in SHARES]
    chance = np.exp(total - total.max())
    return float(SHARES @ chance / chance.sum())


def information(weights: Weights, features: Floats, noise: Floats, settings: UpdateSettings | None = None) -> float:
    """Nats by which labelling a pool would narrow `weights`: half the log determinant of what its precision adds."""
    settings = settings or UpdateSettings()
    scaled = features / np.sqrt(noise * len(noise) / settings.effective_candidates)[:, None]
    return 0.5 * float(np.linalg.slogdet(np.eye(len(noise)) + scaled @ weights.covariance @ scaled.T)[1])
