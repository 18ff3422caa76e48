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
from math import pi, sqrt
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
EvidenceKind = Literal["written", "edit", "accept", "reject", "prefer", "copied", "regenerated"]
KINDS: tuple[EvidenceKind, ...] = get_args(EvidenceKind)

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
_STEPS = 50
_SETTLED = 1e-10


@dataclass(frozen=True)
class Settings:
    """Constants of the update, chosen on tune users (docs/adaptation.md)."""

    effective_candidates: float = 4.0
    """Independent candidates that a labelled pool counts for."""
    prior_scale: float = 1.0
    """Prior covariance of a user's weights, in units of the stock model's."""
    half_life: float = 128.0
    """Pools after which evidence weighs half: the newest counts 1, this many later one half."""
    doubt: float = 1.0
    """How much worse than the stock model, in nats, the user's weights are held to be before their evidence is seen."""


@dataclass(frozen=True)
class Weights:
    """A Gaussian over the last layer's weights."""

    mean: Floats
    """(D,)."""
    covariance: Floats
    """(D, D)."""


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


def fit_user(stock: Weights, evidence: Sequence[Evidence], settings: Settings | None = None) -> Posterior:
    """The user's posterior from `evidence`, newest first. Without evidence, the stock model.

    The weights are fitted to all of it; how far they are used is decided on parts that were held out of fits
    (`trust`). A mixture with share t has mean m0 + t (m - m0) and covariance
    (1-t) S0 + t S + t (1-t) (m - m0) (m - m0)^T.
    """
    settings = settings or Settings()
    used = list(evidence[:MAX_EVIDENCE])
    if not used:
        return Posterior(stock, 0.0, 0, np.zeros((0, len(stock.mean))))
    weight = recency(used, settings)
    habit = habit_of(stock, used, weight)
    own = fit(stock, used, weight, settings, habit)
    unseen = held_out_steps(stock, used, weight, settings, habit)
    share = trust(stock, used, weight, unseen, settings=settings, habit=habit)
    step = own.mean - stock.mean
    covariance = (1 - share) * stock.covariance + share * own.covariance + share * (1 - share) * np.outer(step, step)
    return Posterior(Weights(stock.mean + share * step, covariance), share, len(used), stock.mean + share * unseen)


def recency(evidence: Sequence[Evidence], settings: Settings) -> Floats:
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
    judged = [(one, float(share)) for one, share in zip(evidence, weight, strict=True) if one.utility is None]
    at = np.array([0.0, 1.0])
    for _ in range(_STEPS if judged else 0):
        gradient, curvature = np.array([-at[0], 1.0 - at[1]]), np.eye(2)
        for one, share in judged:
            scaled = _scaled(one)
            columns = np.stack([np.full(len(scaled), one.kind != "prefer", dtype=np.float64), scaled @ stock.mean], 1)
            _, slope, bend = _choice(one, columns @ at, columns)
            gradient += share * slope
            curvature += share * bend
        # The likelihood's curvature is bounded by that at 0, so a step over the larger of the two cannot overshoot far.
        move = np.linalg.solve(curvature, gradient)
        at = at + move / max(1.0, float(np.abs(move).max()))
        at[1] = max(at[1], 0.0)
        if np.abs(move).max() < _SETTLED:
            break
    return Habit(float(at[0]), float(at[1]))


def fit(
    stock: Weights, evidence: Sequence[Evidence], weight: Floats, settings: Settings, habit: Habit | None = None
) -> Weights:
    """The Gaussian over the weights after `evidence`, each pool counting `weight` times. `habit` None: estimated."""
    size = len(stock.mean)
    covariance: Floats = settings.prior_scale * stock.covariance + _RIDGE * np.eye(size)
    precision: Floats = np.asarray(np.linalg.inv(covariance), dtype=np.float64)
    moment: Floats = np.zeros(size)
    choices: list[tuple[Evidence, float]] = []
    for one, share in zip(evidence, weight, strict=True):
        if one.utility is None:
            choices.append((one, float(share)))
            continue
        scaled = one.features * (share * settings.effective_candidates / len(one.noise) / one.noise)[:, None]
        residual = one.utility - one.utility.mean() - one.features @ stock.mean
        precision += scaled.T @ one.features
        moment += scaled.T @ residual
    step: Floats = np.asarray(np.linalg.solve(precision, moment), dtype=np.float64)
    if choices:
        habit = habit_of(stock, evidence, weight) if habit is None else habit
        step, precision = _with_choices(stock.mean, step, precision, moment, choices=choices, habit=habit)
    covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
    return Weights(stock.mean + step, (covariance + covariance.T) / 2)


def _with_choices(
    stock: Floats,
    step: Floats,
    precision: Floats,
    moment: Floats,
    *,
    choices: Sequence[tuple[Evidence, float]],
    habit: Habit,
) -> tuple[Floats, Floats]:
    """The mode as a step from `stock`, and the precision there (Laplace). The log posterior is concave: Newton."""
    known = [(one, share, _scaled(one), _foretold(one, stock, habit)) for one, share in choices]

    def objective(at: Floats) -> float:
        loss = 0.5 * float(at @ precision @ at) - float(moment @ at)
        return loss - sum(share * _choice(one, base + phi @ at, phi)[0] for one, share, phi, base in known)

    curvature, value = precision, objective(step)
    for _ in range(_STEPS):
        gradient, curvature = precision @ step - moment, precision.copy()
        for one, share, phi, base in known:
            _, slope, bend = _choice(one, base + phi @ step, phi)
            gradient -= share * slope
            curvature += share * bend
        move = np.linalg.solve(curvature, -gradient)
        size = 1.0
        while size > 1e-6 and (new := objective(step + size * move)) > value:
            size /= 2
        if size <= 1e-6 or value - new < _SETTLED:
            break
        step, value = step + size * move, new
    return step, curvature


def _scaled(one: Evidence) -> Floats:
    """(N, D) features in units of the learned noise: for choices, scores times these weights are logits.

    prefer: Gumbel noise of the learned spread (the softmax choice model, McFadden 1974). The others: logistic noise.
    """
    if one.kind == "prefer":
        return np.asarray(one.features / (sqrt(float(one.noise.mean())) * sqrt(6) / pi), dtype=np.float64)
    return np.asarray(one.features / (np.sqrt(one.noise) * sqrt(3) / pi)[:, None], dtype=np.float64)


def _foretold(one: Evidence, stock: Floats, habit: Habit) -> Floats:
    """(N,) logits of the candidates by the stock scores."""
    return habit.grip * (_scaled(one) @ stock) + (0.0 if one.kind == "prefer" else habit.ease)


def _choice(one: Evidence, logits: Floats, columns: Floats) -> tuple[float, Floats, Floats]:
    """Log-likelihood of a judgment without a label, its gradient and its negative curvature.

    prefer: the candidate was chosen of its pool, with chances softmax(logits). The others: the candidate was good
    enough (accept, copied) or not, with chance 1 / (1 + exp(-logit)). The derivatives are by the coefficients of
    `columns` (N, K), in which the logits are linear.
    """
    if one.kind == "prefer":
        scores = logits - logits.max()
        total = np.exp(scores).sum()
        chance = np.exp(scores) / total
        mean = chance @ columns
        centred = columns - mean
        value = float(scores[one.candidate] - np.log(total))
        return value, columns[one.candidate] - mean, (centred * chance[:, None]).T @ centred
    sign = 1.0 if one.kind in ("accept", "copied") else -1.0
    score, row = sign * float(logits[one.candidate]), columns[one.candidate]
    wrong = 1 / (1 + np.exp(min(score, 500.0)))
    return -float(np.logaddexp(0, -score)), sign * wrong * row, wrong * (1 - wrong) * np.outer(row, row)


def held_out_steps(
    stock: Weights, evidence: Sequence[Evidence], weight: Floats, settings: Settings, habit: Habit
) -> Floats:
    """(E, D) for each pool, how far from the stock weights a fit goes that has not seen its fold (5 folds)."""
    folds = min(FOLDS, len(evidence))
    fold = np.arange(len(evidence)) % folds
    steps = np.zeros((len(evidence), len(stock.mean)))
    if folds < 2:
        return steps
    for number in range(folds):
        seen = np.flatnonzero(fold != number)
        mean = fit(stock, [evidence[int(index)] for index in seen], weight[seen], settings, habit).mean
        steps[fold == number] = mean - stock.mean
    return steps


def trust(
    stock: Weights,
    evidence: Sequence[Evidence],
    weight: Floats,
    unseen: Floats,
    *,
    settings: Settings,
    habit: Habit,
) -> float:
    """How far the user's weights are used, 0 to 1: the share that foretells held-out evidence best.

    `unseen` is of `held_out_steps`. Pools with the user's own text decide alone where there are any, so that judgments
    cannot vouch for themselves. `doubt` is taken off in proportion to the share; a tie goes to the smaller share.
    """
    labelled = any(one.utility is not None for one in evidence)
    total = -settings.doubt * SHARES
    for one, counts, step in zip(evidence, weight, unseen, strict=True):
        if one.utility is None and not labelled:
            phi, base = _scaled(one), _foretold(one, stock.mean, habit)
            total += counts * np.array([_choice(one, base + share * (phi @ step), phi)[0] for share in SHARES])
        elif one.utility is not None:
            # Tempered as in `fit`: a pool counts as so many candidates.
            error = one.utility - one.utility.mean() - one.features @ stock.mean
            moved = one.features @ step
            loss = [float((np.square(error - share * moved) / one.noise).mean()) for share in SHARES]
            total -= 0.5 * settings.effective_candidates * counts * np.array(loss)
    return float(SHARES[int(np.argmax(total))])


def information(weights: Weights, features: Floats, noise: Floats, settings: Settings | None = None) -> float:
    """Nats by which labelling a pool would narrow `weights`: half the log determinant of what its precision adds."""
    settings = settings or Settings()
    scaled = features / np.sqrt(noise * len(noise) / settings.effective_candidates)[:, None]
    return 0.5 * float(np.linalg.slogdet(np.eye(len(noise)) + scaled @ weights.covariance @ scaled.T)[1])
