"""What pools at one temperature, or at several in turn, are worth: chosen utility against greedy's, on drawn pools.

A pool of n is a part of what was drawn, and is scored anew: consensus and the difference from the pool's mean depend on
who else is in it. Utility is the agreement with what the user really wrote (`edge_ttp.reward.utility`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.answer.select import Pool, select
from edge_ttp.lab.bench.corpus import Query
from edge_ttp.lab.bench.drawing import DrawnText
from edge_ttp.reward.model import EncodedInput, EncodedPool, RewardModel
from edge_ttp.reward.user_profile import HISTORY_ITEMS, UserProfile, VectorMemory
from edge_ttp.reward.utility import agreement, tokenize
from edge_ttp.schema import DEFAULT_RULE, Rule

Floats = npt.NDArray[np.float64]

COUNTS = (4, 8, 16, 32)
"""Sizes of pools."""
PARTS = 4
"""Most disjoint pools of one size that a query is judged by."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Arm:
    """A way to draw a pool: temperatures that the candidates take in turn, after the greedy answer or without it."""

    cycle: tuple[float, ...]
    greedy: bool = False

    @property
    def name(self) -> str:
        """As in the table."""
        turns = ", ".join(f"{one:g}" for one in self.cycle)
        return f"greedy, then {turns}" if self.greedy else turns

    def pool(self, drawn: Mapping[float, Sequence[int]], n: int, part: int) -> list[int] | None:
        """Places of the part-th pool of n candidates, `drawn` holding the places at each temperature.

        None where not enough was drawn. Pools of different parts share the greedy answer alone.
        """
        rest = n - self.greedy
        picked: list[int] = []
        for turn, temperature in enumerate(self.cycle):
            taken = len(range(turn, rest, len(self.cycle)))
            places = drawn.get(temperature, ())[part * taken : (part + 1) * taken]
            if len(places) < taken:
                return None
            picked += places
        return ([drawn[0.0][0]] if self.greedy else []) + picked


@dataclass(frozen=True)
class JudgedPool:
    """Means over a query's pools of one arm and size. Utilities, 0 to 1."""

    chosen: float
    consensus: float
    mean: float
    oracle: float


class Judge:
    """Chooses from pools with a reward model, as a request without learned evidence would."""

    def __init__(self, reward: RewardModel) -> None:
        self._reward = reward
        self._vectors: dict[str, VectorMemory] = {}

    def judge(
        self, query: Query, candidates: Sequence[DrawnText], arms: Sequence[Arm], counts: Sequence[int] = COUNTS
    ) -> dict[str, dict[int, JudgedPool]]:
        """What every arm gives at every size that enough was drawn for."""
        memory = self._vectors.setdefault(query.task, VectorMemory())  # ids are unique within a task
        profile = self._reward.profile(query.history[-HISTORY_ITEMS:], memory)
        source = self._reward.prepare(query.item.input)
        encoded = self._reward.encode([one.candidate for one in candidates])
        utility = agreement(encoded.words, [tokenize(query.item.output)])[:, 0]
        drawn: dict[float, list[int]] = {}
        for place, one in enumerate(candidates):
            drawn.setdefault(one.temperature, []).append(place)
        found: dict[str, dict[int, JudgedPool]] = {}
        for arm in arms:
            for n in counts:
                pools = [arm.pool(drawn, n, part) for part in range(PARTS)]
                judged = [self._one(profile, source, encoded, utility, pool) for pool in pools if pool is not None]
                if judged:
                    found.setdefault(arm.name, {})[n] = JudgedPool(*np.mean(judged, axis=0).tolist())
        return found

    def _one(
        self, profile: UserProfile, source: EncodedInput, encoded: EncodedPool, utility: Floats, pool: Sequence[int]
    ) -> tuple[float, float, float, float]:
        scores = self._reward.score(profile, source, encoded.take(pool))
        known = Pool(
            logprob=np.array([encoded.candidates[place].logprob for place in pool]),
            tokens=np.array([encoded.candidates[place].tokens for place in pool]),
            complete=np.array([bool(encoded.candidates[place].text) for place in pool]),
            mean=scores.mean,
            epistemic=scores.epistemic,
            similarity=scores.similarity,
        )
        rule: Rule = DEFAULT_RULE if scores.familiar else "consensus"
        mine = utility[list(pool)]
        picked, agreed = (mine[select(known, name).index] for name in (rule, "consensus"))
        return float(picked), float(agreed), float(mine.mean()), float(mine.max())


@dataclass(frozen=True)
class Difference:
    """A paired difference with its standard error and central 95% interval, users resampled whole."""

    mean: float
    error: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float], users: Sequence[str]) -> Difference:
        """Of one value a query; NaN for the error and the interval where there are fewer than two users."""
        each = np.asarray(values, dtype=np.float64)
        names, owner = np.unique(np.asarray(users), return_inverse=True)
        if len(names) < 2:
            return cls(float(each.mean()) if len(each) else float("nan"), *[float("nan")] * 3)
        sums, sizes = np.bincount(owner, each), np.bincount(owner)
        drawn = np.random.default_rng(0).integers(0, len(names), (RESAMPLES, len(names)))
        means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
        low, high = np.quantile(means, (0.025, 0.975))
        return cls(float(each.mean()), float(means.std(ddof=1)), float(low), float(high))

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Row:
    """One arm at one size on one task, or on all of them together."""

    task: str
    arm: str
    n: int
    queries: int
    users: int
    greedy: float
    chosen: float
    consensus: float
    mean: float
    oracle: float
    gain: Difference
    """Chosen over greedy."""
    over_default: Difference
    """Chosen over what the reference arm chooses at the same size."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.__dict__, "gain": self.gain.as_dict(), "over_default": self.over_default.as_dict()}


Found = Mapping[tuple[str, str, int], tuple[float, Mapping[str, Mapping[int, JudgedPool]]]]
"""By query: utility of the greedy answer, and what its pools gave."""

POOLED = "all"


def rows(answers: Found, reference: str) -> list[Row]:
    """Rows of all tasks together and of each, over the queries that have every arm and size.

    `reference` names the arm that `over_default` compares with. In POOLED every query counts the same.
    """
    tasks = sorted({task for task, _, _ in answers})
    arms = list(dict.fromkeys(arm for _, judged in answers.values() for arm in judged))
    table = []
    for task in (POOLED, *tasks):
        for arm in arms:
            for n in COUNTS:
                mine = [
                    (f"{key[0]}/{key[1]}", greedy, judged[arm][n], judged[reference][n])
                    for key, (greedy, judged) in answers.items()
                    if task in (POOLED, key[0]) and n in judged.get(arm, {}) and n in judged.get(reference, {})
                ]
                if mine:
                    table.append(_row(task, arm, n, mine))
    return table


def _row(task: str, arm: str, n: int, mine: Sequence[tuple[str, float, JudgedPool, JudgedPool]]) -> Row:
    users = [user for user, *_ in mine]
    gains = [one.chosen - greedy for _, greedy, one, _ in mine]
    return Row(
        task=task,
        arm=arm,
        n=n,
        queries=len(mine),
        users=len(set(users)),
        greedy=float(np.mean([greedy for _, greedy, _, _ in mine])),
        chosen=float(np.mean([one.chosen for _, _, one, _ in mine])),
        consensus=float(np.mean([one.consensus for _, _, one, _ in mine])),
        mean=float(np.mean([one.mean for _, _, one, _ in mine])),
        oracle=float(np.mean([one.oracle for _, _, one, _ in mine])),
        gain=Difference.of(gains, users),
        over_default=Difference.of([one.chosen - other.chosen for _, _, one, other in mine], users),
    )


def best(table: Sequence[Row], counts: Sequence[int] = (8, 16, 32)) -> str:
    """The arm with the largest mean chosen utility over these sizes, all tasks together."""
    sums: dict[str, list[float]] = {}
    for row in table:
        if row.task == POOLED and row.n in counts:
            sums.setdefault(row.arm, []).append(row.gain.mean)
    return max(sums, key=lambda arm: float(np.mean(sums[arm])))
