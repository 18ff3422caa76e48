"""Racing: long candidates whose beginnings the reward model thinks worse are dropped halfway, and the others go on.

Twice half of them go, after 16 and after 32 tokens: on tune users' long tasks that cost nothing that could be seen,
while drawing half as many in the first place did (docs/measured/engine.md). A dropped candidate is incomplete: it is
neither chosen nor scored, and a generation that has one teaches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edge_ttp import schema
from edge_ttp.answer.ask import Ask, Rooms
from edge_ttp.answer.prepare import Prepared
from edge_ttp.answer.select import DEFAULT_KAPPA
from edge_ttp.policy.request import Race
from edge_ttp.reward.model import RewardModel, Scores

CHECKPOINTS = (16, 32)
"""Tokens of a candidate at which its beginning is looked at; from 8 the judge cannot tell."""
KEEP = 0.5
"""Share of the candidates that stays at each."""
LEAST_N = 8
"""Fewer do not race."""
LONG = 60
"""Tokens that most answers of this user have at least: shorter ones are over before a race pays."""
RULES: frozenset[schema.Rule] = frozenset({"lcb", "mean"})
"""Rules that choose by what a race goes by."""


class Racing:
    """The judge of one request's race."""

    def __init__(self, reward: RewardModel, prepared: Prepared) -> None:
        """Of a request that `races`."""
        self._reward, self._prepared = reward, prepared
        self.decisions: list[str] = []

    def as_race(self) -> Race:
        """As the engine takes it."""
        return Race(CHECKPOINTS, self.worse)

    def worse(self, candidates: Sequence[schema.Candidate]) -> list[int]:
        """The places of those that need not go on, by lower bounds of their beginnings; dropped ones not counted."""
        alive = going_on(candidates)
        recollection = self._prepared.recollection
        assert recollection.profile is not None
        assert recollection.learned is not None
        said = self._reward.score(
            recollection.profile,
            self._prepared.request,
            [candidates[place] for place in alive],
            recollection.learned.weights,
        )
        lower = said.mean - DEFAULT_KAPPA * np.sqrt(said.epistemic)
        kept = max(1, round(KEEP * len(alive)))
        order = np.argsort(-lower, kind="stable")
        self.decisions.append(f"of {len(alive)} beginnings the {kept} best go on")
        return [alive[place] for place in order[kept:]]


def races(rooms: Rooms, ask: Ask, prepared: Prepared, n: int) -> bool:
    """Whether the candidates of this request race: where it was asked for, and answers are many and long."""
    known = prepared.recollection
    judged = rooms.reward is not None and known.profile is not None and known.learned is not None
    return (
        ask.sampling.race
        and judged
        and ask.rule in RULES
        and rooms.policy_url is None
        and ask.grammar is None
        and n >= LEAST_N
        and prepared.usual >= LONG
    )


def going_on(candidates: Sequence[schema.Candidate]) -> list[int]:
    """The places of candidates that no race dropped."""
    return [place for place, one in enumerate(candidates) if one.finish_reason != "raced"]


def among(scores: Scores, places: Sequence[int], count: int) -> Scores:
    """`scores` of the candidates at `places`, with those of `count` in all that were dropped, which no rule takes."""
    here = np.asarray(places, dtype=np.int64)

    def spread(
        values: np.ndarray[tuple[int], np.dtype[np.float64]], other: float
    ) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        wide = np.full(count, other)
        wide[here] = values
        return wide

    similarity = np.zeros((count, count))
    similarity[np.setdiff1d(np.arange(count), here)] = -np.inf  # no agreement makes them a choice
    similarity[np.ix_(here, here)] = scores.similarity
    np.fill_diagonal(similarity, 1.0)
    features = np.zeros((count, scores.features.shape[1]))
    features[here] = scores.features
    return replace(
        scores,
        mean=spread(scores.mean, -np.inf),
        aleatoric=spread(scores.aleatoric, 0.0),
        epistemic=spread(scores.epistemic, 0.0),
        variance=spread(scores.variance, 0.0),
        similarity=similarity,
        features=features,
    )
