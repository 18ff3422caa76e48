"""Simulated rounds of feedback: a user judges what the model in its present state chooses; what is learned by round.

Judgments come from the true utilities of real pools. Every arm sees the same pools in the same order:

- own: the stock prior with this user's posterior, as the runtime uses it.
- stock: nothing is learned.
- online: online updates without the prior, after T-POP (test-time personalization with online preference feedback):
  the same likelihoods from weights of 0 with a wide prior, used from the first judgment on, never held back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edge_ttp.lab.bench.adapting import DESCRIPTIVE, Tested, gain_of
from edge_ttp.reward.posterior import Evidence, EvidenceKind, Floats, Terms, UpdateSettings, Weights, fit_user, recency

ROUNDS = 20
KINDS = ("accept/reject", "edit", "prefer", "copied/regenerated")
"""What the simulated user does in every round."""

GOOD_PART = 0.25
"""The user accepts an answer that is among the best quarter of its pool."""

MISTAKES = 0.1
"""Part of the judgments accept/reject and prefer that are wrong; .3 of those that are only inferred."""

WIDE = 25.0
"""Prior variance of the online arm's weights, in units of the stock model's mean variance."""


@dataclass(frozen=True)
class FeedbackRound:
    """Share of headroom on the latest items after some rounds of one kind, with 95% bootstrap intervals over users."""

    kind: str
    round: int
    share: float
    stock: float
    online: float
    gain: float
    """share - stock."""
    gain_low: float
    gain_high: float
    users: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def judgment(kind: str, pool: Evidence, chosen: int, rng: np.random.Generator) -> Evidence:
    """What the simulated user says of the candidate `chosen` among the pool's."""
    assert pool.utility is not None
    if kind == "edit":
        return replace(pool, kind="edit")
    wrong = rng.random() < (3 * MISTAKES if kind == "copied/regenerated" else MISTAKES)
    if kind == "prefer":
        best = int(np.argmax(pool.utility))
        return Evidence(
            "prefer", pool.features, pool.noise, None, int(rng.integers(len(pool.noise))) if wrong else best
        )
    good = bool(pool.utility[chosen] >= np.quantile(pool.utility, 1 - GOOD_PART)) ^ wrong
    names: tuple[EvidenceKind, EvidenceKind] = (
        ("accept", "reject") if kind == "accept/reject" else ("copied", "regenerated")
    )
    return Evidence(names[0] if good else names[1], pool.features, pool.noise, None, chosen)


def simulate(stock: Weights, users: Sequence[Tested], *, rounds: int = ROUNDS, seed: int = 0) -> list[FeedbackRound]:
    """Points of all kinds and rounds (0 too), over the users with enough earlier pools, tasks together."""
    able = [one for one in users if len(one.earlier) >= rounds and one.task not in DESCRIPTIVE]
    points: list[FeedbackRound] = []
    for kind in KINDS if able else ():
        runs = [_run(stock, one, kind, rounds, np.random.default_rng([seed, at])) for at, one in enumerate(able)]
        points += _points(kind, np.array(runs))
    return points


def weights_by_round(
    stock: Weights, pools: Sequence[Evidence], kind: str, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    """(D,) mean weights of own and of online before any judgment and after each; `pools` are the oldest first."""
    own: list[Evidence] = []
    online: list[Evidence] = []
    blank = Weights(np.zeros_like(stock.mean), WIDE * float(np.diag(stock.covariance).mean()) * np.eye(len(stock.mean)))
    weights, free = stock.mean, blank.mean
    yield weights, free
    for pool in pools:
        draws = rng.integers(2**31)
        for arm, seen in ((weights, own), (free, online)):
            chosen = int(np.argmax(pool.features @ arm))
            seen.insert(0, judgment(kind, pool, chosen, np.random.default_rng(draws)))
        weights = fit_user(stock, own).weights.mean
        free = _online(blank, online)
        yield weights, free


def _run(stock: Weights, tested: Tested, kind: str, rounds: int, rng: np.random.Generator) -> list[list[float]]:
    """(rounds + 1, 4): gains on the latest pools of own, stock and online, and the best possible, after each round."""
    oldest_first = list(reversed(tested.earlier[:rounds]))  # as in life
    return [
        _gains(tested, weights, stock.mean, free) for weights, free in weights_by_round(stock, oldest_first, kind, rng)
    ]


def _online(blank: Weights, seen: Sequence[Evidence]) -> Floats:
    settings = UpdateSettings(prior_scale=1.0, half_life=float("inf"))
    weight = recency(seen, settings)
    return Terms.of(blank, seen, weight, settings).fit(weight).mean


def _gains(tested: Tested, *arms: Floats) -> list[float]:
    return [sum(gain_of(pool, weights) for pool in tested.latest) for weights in (*arms, None)]


def _points(kind: str, runs: Floats) -> list[FeedbackRound]:
    """`runs` is (users, rounds + 1, 4)."""
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, len(runs), (1000, len(runs)))
    points = []
    for number in range(runs.shape[1]):
        own, stock, online, best = runs[:, number].sum(axis=0)
        again = runs[drawn, number].sum(axis=1)
        low, high = np.quantile((again[:, 0] - again[:, 1]) / again[:, 3], (0.025, 0.975))
        points.append(
            FeedbackRound(
                kind=kind,
                round=number,
                share=float(own / best),
                stock=float(stock / best),
                online=float(online / best),
                gain=float((own - stock) / best),
                gain_low=float(low),
                gain_high=float(high),
                users=len(runs),
            )
        )
    return points
